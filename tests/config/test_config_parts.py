"""The small parts: atoms, units, lines of TOML, make.conf."""

from __future__ import annotations

import contextlib
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloche.config import makeconf
from cloche.config.atoms import at_version, atom_fault, is_name
from cloche.config.errors import ConfigError
from cloche.config.positions import positions
from cloche.config.table import duration, size

FILE = Path("/p/make.conf")


@pytest.mark.parametrize(
    "atom",
    [
        "app-misc/hello", "dev-lang/lua:5.4", ">=sys-libs/zlib-1.2.13-r1", "~dev-libs/glib-2.0",
        "=dev-libs/glib-2*", "=dev-libs/glib-2*:2", "dev-libs/glib:2/2=", "dev-libs/glib:=",
        "dev-libs/glib:*", "app-misc/foo::gentoo", "app-misc/foo[bar,-baz,qux(+)?,!x=]",
        "sys-devel/gcc:13[cxx]", "virtual/perl-Math-BigInt", "x11-libs/gtk+:3",
        "<app-misc/foo-1.0_rc2_p3-r4:0::local[a]", "=media-libs/x264-0.0.20231114",
        "app-misc/foo-bar-2xx", "dev-util/catalyst",
    ],
)  # fmt: skip
def test_atoms_of_all_forms_are_known(atom: str) -> None:
    assert atom_fault(atom) is None


@pytest.mark.parametrize(
    ("atom", "wanted"),
    [
        ("a/b-sources", "=a/b-sources-6.18.1"),
        ("=a/b-6.12*", "=a/b-6.18.1"),
        ("a/b::r[x,-y]", "=a/b-6.18.1::r[x,-y]"),
        (">=a/b-6.12-r1:lts::r", "=a/b-6.18.1:lts::r"),
        ("a/b:0", "=a/b-6.18.1:0"),
        ("a/b:6.12.58[x]", "=a/b-6.18.1[x]"),  # kernel-2.eclass: SLOT is the version
        ("a/b:6.12.58-r1", "=a/b-6.18.1"),
    ],
)
def test_another_version_of_an_atom_keeps_all_else(atom: str, wanted: str) -> None:
    assert at_version(atom, "6.18.1") == wanted


@pytest.mark.parametrize(
    ("atom", "says"),
    [
        ("hello", "category"), ("app-misc/", "expected"), ("app-misc/hello ", "expected"),
        ("app-misc/hello-1.0", "operator"), (">=app-misc/hello", "version"), ("!a/b", "blocker"),
        ("*/*", "wildcard"), ("app-misc/*", "wildcard"), ("~a/b-1-r1", "revision"),
        (">=a/b-1*", "requires"), ("app-misc/hello[", "expected"), ("-a/b", "expected"),
        ("app-misc/hello:", "expected"), ("a/b/c", "expected"),
    ],
)  # fmt: skip
def test_a_typing_error_in_an_atom_is_explained(atom: str, says: str) -> None:
    assert says in (atom_fault(atom) or "")


@given(st.text(max_size=30))
def test_no_text_breaks_the_small_parsers(text: str) -> None:
    atom_fault(text)
    for read in (duration, size):
        with contextlib.suppress(ValueError):
            assert read(text) > 0
    with contextlib.suppress(ConfigError):
        makeconf.parse(text, FILE)


def test_names() -> None:
    assert is_name("my-box.2")
    assert not any(map(is_name, ("", "../x", "a b", "-a", ".a", "a/b")))


def test_units() -> None:
    assert [duration(text) for text in ("90", "2h", "1h 30m", "1.5m")] == [90, 7200, 5400, 90]
    assert [size(text) for text in ("512", "1K", "4GiB", "2 MB")] == [512, 1024, 4 << 30, 2 << 20]


KEYS = st.text("abcXYZ-_9", min_size=1, max_size=5)
VALUES = st.sampled_from(['1', '"a = [b"', '["x", "y#,"]', '[\n "x", # c\n "y",\n]',
                          "'''\nkey = 1\n[table]\n'''", '{ k = "v" }', '"""\n]\n"""'])  # fmt: skip


@given(st.lists(st.tuples(KEYS, VALUES), unique_by=lambda item: item[0], max_size=6))
def test_every_key_is_found_in_the_line_where_it_stands(pairs: list[tuple[str, str]]) -> None:
    text = "".join(f"{key} = {value}\n" for key, value in pairs)
    tomllib.loads(text)
    found = positions(text)
    line = 1
    for key, value in pairs:
        assert found[(key,)] == line
        line += f"{key} = {value}\n".count("\n")
    assert {path[0] for path in found} == {key for key, _ in pairs}


def test_tables_and_items_have_lines() -> None:
    text = (
        'a.b = 1\n[t."x y"]\nk = [\n  "one", "two",\n  # no\n  "three" ]\n[[l]]\nz=1\n[[l]]\nz=2\n'
    )
    found = positions(text)
    assert found[("a", "b")] == 1
    assert found[("t", "x y")] == 2
    assert [found[("t", "x y", "k", index)] for index in range(3)] == [4, 4, 6]
    assert (found[("l", 0, "z")], found[("l", 1, "z")]) == (8, 10)


def test_make_conf_is_read_as_portage_reads_it() -> None:
    text = '# c\nUSE="a\n  -b"\nexport X=y\nCFLAGS="${CFLAGS} -g" # c\nCXX=\'a b\''
    found = makeconf.parse(text, FILE)
    assert [(item.name, item.value, item.origin.line) for item in found] == [
        ("USE", "a\n  -b", 2), ("X", "y", 4), ("CFLAGS", "${CFLAGS} -g", 5), ("CXX", "a b", 6),
    ]  # fmt: skip
    assert [item.refers_to_itself for item in found] == [False, False, True, False]


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("A=1\nsource /etc/make.conf\n", 2, "brings in another file"),
        ("A=1\n\nUSE a\n", 3, "not followed by"),
        ('A="1', 1, "no closing quotation"),
        ("A=1\nB=", 2, "has no value"),
        ("1A=2\n", 1, "not a variable's name"),
    ],
)
def test_a_fault_in_make_conf_has_its_line(text: str, line: int, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        makeconf.parse(text, FILE)
    assert str(caught.value.where).endswith(f":{line}")


@pytest.mark.parametrize("name", ["PKGDIR", "MAKEOPTS", "PORTDIR", "FETCHCOMMAND", "ROOT"])
def test_what_cloche_owns_cannot_be_set(name: str) -> None:
    with pytest.raises(ConfigError, match=f"make.conf:2: {name} cannot.*remove"):
        makeconf.parse(f'A=1\n{name}="/x"\n', FILE)
