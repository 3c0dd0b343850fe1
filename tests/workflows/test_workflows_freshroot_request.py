"""What a freshroot's emerge asks for: read or refused, and turned into a configuration."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.values import package

from cloche.errors import ClocheError
from cloche.plan.depgraph import Depgraph
from cloche.workflows.freshroot_request import (
    BadRequestError,
    Request,
    atoms_of,
    decode_request,
    etc_for,
    found_in,
    length_of,
    message,
)

PLAIN: dict[str, Any] = {
    "wanted": [{"cpv": "a/b-2", "repo": "r", "slot": "0", "use": ["x"]}],
    "tools": [["a/tool", "0"]],
    "installed": [
        {"cpv": "a/b-1", "slot": "0", "use": ["x"]},
        {"cpv": "a/tool-1", "slot": "0", "use": []},
        {"cpv": "a/lib-1.2-r3", "slot": "1", "use": ["-x", "y"]},
    ],
    "etc": {
        "package.use/own": "a/b x\n",
        "package.mask": "a/c\n",
        "repos.conf": "x",
        "modules": "",
    },
    "profile": "r:default/linux",
    "environment": {},
    "columns": 80,
    "rows": 24,
    "term": "xterm-256color",
}


def request(**more: object) -> Request:
    return decode_request(msgspec.json.encode({**PLAIN, **more}))


def test_what_is_installed_stays_and_what_is_replaced_is_free() -> None:
    files = etc_for(request())
    assert files == {
        "package.use/own": b"a/b x\n",
        "package.use/zz-freshroot": b"=a/lib-1.2-r3 -x y\n",
        "package.mask/00-own": b"a/c\n",
        "package.mask/zz-freshroot": b"<a/lib-1.2-r3:1\n>a/lib-1.2-r3:1\n",
    }
    assert atoms_of(request()) == ("=a/b-2::r",)


def test_variables_before_emerge_count_as_they_do_there() -> None:
    variables = {"USE": "x -y", "CFLAGS": "-O0 -g", "FEATURES": "test"}
    files = etc_for(request(installed=[], environment=variables, etc={"make.conf": "A=1\n"}))
    assert files == {
        "make.conf/00-own": b"A=1\n",
        "make.conf/zz-freshroot": (
            b'CFLAGS="-O0 -g"\nFEATURES="${FEATURES} test"\nUSE="${USE} x -y"\n'
        ),
        "package.use/zz-freshroot": b"=a/b-2::r x -y\n",
    }


def test_another_package_than_the_root_chose_is_refused() -> None:
    same = package("a/b-2", repo="r", iuse=("x", "y"), use=("x", "elsewhere"))
    assert found_in(Depgraph((same,)), request()) == (same,)
    other = package("a/b-2", repo="r", iuse=("x", "y"), use=("y",))
    with pytest.raises(ClocheError, match="USE=-x y"):
        found_in(Depgraph((other,)), request())
    with pytest.raises(ClocheError, match="did not choose it"):
        found_in(Depgraph(()), request())


def test_a_package_that_the_root_has_is_not_another_in_builds() -> None:
    wanted = package("a/b-2", repo="r", iuse=("x", "y"), use=("x",))

    def lib(version: str, use: str = "y", **more: Any) -> Depgraph:
        flags = {"iuse": ("x", "y", "new"), "use": tuple(use.split())}
        return Depgraph((package(f"a/lib-{version}", **{"slot": "1", **flags, **more}), wanted))

    for same in (lib("1.2-r3"), lib("1.2-r3", "y new"), lib("2", slot="2"), lib("2", broot=True)):
        assert found_in(same, request()) == (wanted,)
    for other, why in (
        (lib("2"), "Portage chose a/lib-2 outside; name it to emerge as well, or remove"),
        (lib("1.2-r3", "x"), "outside it has USE=x -y; name it"),
    ):
        with pytest.raises(ClocheError) as refused:
            found_in(other, request())
        assert str(refused.value).startswith("a/lib-1.2-r3: it is another package")
        assert why in str(refused.value)


@pytest.mark.parametrize(
    "more",
    [
        {"wanted": []},
        {"wanted": PLAIN["wanted"] * 20_001},
        {"tools": [["a/../b", "0"]]},
        {"etc": {"a\0b": ""}},
        {"etc": {"a/./b": ""}},
        {"etc": {"a": "", "a/b": ""}},
        {"etc": {"a/" * 501 + "b": ""}},
        {"profile": "no"},
        {"term": "x" * 81},
        {"environment": {"USE": 'x"; rm'}},
        {"environment": {"USE": "$(x)"}},
        {"environment": {"USE": "x\ny"}},
        {"environment": {"a b": "x"}},
        {"unknown": 1},
    ],
)
def test_what_does_not_fit_is_refused(more: dict[str, object]) -> None:
    with pytest.raises(BadRequestError):
        request(**more)


def test_a_message_has_a_limit() -> None:
    assert length_of(message(b"k", b"abc")[:5], 3) == 3
    with pytest.raises(BadRequestError):
        length_of(message(b"k", b"abcd")[:5], 3)


VALUES = st.recursive(
    st.none() | st.integers() | st.text(max_size=8) | st.sampled_from(["a/b-1", "..", "-x", "0"]),
    lambda each: (
        st.lists(each, max_size=3) | st.dictionaries(st.text(max_size=8), each, max_size=3)
    ),
    max_leaves=8,
)


@given(st.sampled_from(sorted(PLAIN)), VALUES)
def test_any_value_is_read_or_refused(name: str, value: object) -> None:
    try:
        asked = request(**{name: value})
    except BadRequestError:
        return
    assert all(".." not in file.split("/") for file in etc_for(asked))


@given(st.binary(max_size=200))
def test_any_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(BadRequestError):
        decode_request(data)
