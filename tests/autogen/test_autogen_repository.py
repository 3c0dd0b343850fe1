"""Writing into a repository: own lines, licences, files that change together; and Rust, refused."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path

import pytest
from tests.autogen.published import Desk
from tests.autogen.test_autogen_pypi_generate import EBUILD, failed, publish


def test_own_lines_go_on_from_an_ebuild_that_was_edited_elsewhere(desk: Desk) -> None:
    """The other edits do not, which a note says."""
    publish(desk)
    desk.run("hello")
    path = desk.repository / EBUILD
    text = (
        path.read_text().replace("variables\n", "variables\nMINE=1\r\n").replace("~amd64", "amd64")
    )
    path.write_bytes(text.encode())
    publish(desk, "1.3")
    done = desk.run("hello")
    assert done.exit_code == 0, done.output
    made = (desk.repository / "dev-python/hello/hello-1.3.ebuild").read_bytes().decode()
    assert "variables\nMINE=1\r\n# autogen: end\n" in made
    assert 'KEYWORDS="~amd64"' in made
    assert "hello-1.2.ebuild was edited outside of the marked lines" in done.stderr


@pytest.mark.parametrize("name", ["variable", "phases", ""])
def test_own_lines_of_a_block_that_is_unknown_or_twice_are_not_lost(desk: Desk, name: str) -> None:
    publish(desk)
    desk.run("hello")
    path = desk.repository / EBUILD
    path.write_text(path.read_text().replace("own variables\n", f"own {name}\nMINE=1\n"))
    assert "the block" in str(failed(desk, "hello", "--force"))
    publish(desk, "1.3")
    assert "the block" in str(failed(desk, "hello"))


def test_where_one_file_cannot_be_written_all_are_as_before(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(desk)
    desk.run("hello")
    (desk.repository / "profiles/categories").unlink()
    publish(desk, "1.3")
    before = desk.snapshot()
    replace = os.replace

    def full(source: Path, target: Path) -> None:
        if target.suffix == ".ebuild" and source.suffix == ".new":
            raise OSError(errno.ENOSPC, "No space left on device", str(target))
        replace(source, target)

    monkeypatch.setattr("cloche.autogen.repository.os.replace", full)
    done = desk.run("hello")
    assert "No space left" in str(done.exception)
    assert {name: data for name, (data, _) in desk.snapshot().items()} == {
        name: data for name, (data, _) in before.items()
    }
    assert not list(desk.repository.glob(".autogen*"))


def test_what_a_killed_run_left_is_removed_later(desk: Desk) -> None:
    publish(desk)
    for name, age in ((".autogen-old", 2 * 86400), (".autogen-new", 60)):
        (desk.repository / name).mkdir()
        os.utime(desk.repository / name, (time.time() - age,) * 2)
    assert desk.run("hello").exit_code == 0
    assert [path.name for path in desk.repository.glob(".autogen*")] == [".autogen-new"]


@pytest.mark.parametrize("text", ['MIT"; id; "', "MIT $(id)", "( MIT", "|| MIT", "MIT )", "x?", ""])
def test_a_licence_that_is_none_is_refused(desk: Desk, text: str) -> None:
    publish(desk)
    error = failed(desk, "hello", "--license", text)
    assert "is not a LICENSE" in str(error)


def test_a_licence_that_is_given_does_not_replace_upstreams(desk: Desk) -> None:
    publish(desk)
    done = desk.run("hello", "--license", "GPL-2")
    assert 'LICENSE="MIT"' in desk.text(EBUILD)
    assert "--license is not used: upstream names MIT" in done.stderr


def test_licences_of_several_classifiers_are_told(desk: Desk) -> None:
    lines = [
        f"Classifier: License :: OSI Approved :: {n}" for n in ("MIT License", "ISC License (ISCL)")
    ]
    desk.index.release("hello", "1.2", *lines)
    assert (
        "LICENSE has all that the classifiers name: MIT License, ISC License (ISCL)"
        in desk.run("hello").stderr
    )
    assert 'LICENSE="MIT ISC"' in desk.text(EBUILD)
    assert desk.run("hello", "--license", "|| ( MIT ISC )").exit_code == 0
    assert 'LICENSE="|| ( MIT ISC )"' in desk.text(EBUILD)


MATURIN = '[build-system]\nrequires = [{}]\nbuild-backend = "maturin"\n'
RUST = {
    "maturin": ({"pyproject.toml": MATURIN.format('"maturin>=1"')}, ""),
    "backend": ({"pyproject.toml": MATURIN.format("")}, ""),
    "setup.py": ({"setup.py": "from setuptools_rust import RustExtension\n"}, ""),
    "Cargo.toml": ({"rust/Cargo.toml": ""}, "cp313-cp313-manylinux_x86_64"),
}  # fmt: skip


@pytest.mark.parametrize("lock", [True, False])
@pytest.mark.parametrize(("files", "tag"), RUST.values(), ids=RUST.keys())
def test_rust_is_refused_with_the_reason(
    desk: Desk, files: dict[str, str], tag: str, lock: bool
) -> None:
    """Without a Cargo.lock, or with one that says nothing, the ebuild could not be built either."""
    more = {"Cargo.lock": ""} if lock else {}
    desk.index.release("hello", "1", files={**files, **more}, tag=tag or "py3-none-any")
    error = failed(desk, "hello")
    assert ("its Cargo.lock cannot be used" if lock else "no Cargo.lock") in error.what


def test_a_cargo_toml_of_tests_or_of_another_project_is_not_rust(desk: Desk) -> None:
    files = {"tests/Cargo.toml": "", "vendored/meson/test cases/rust/Cargo.toml": ""}
    desk.index.release("hello", "1", files=files, tag="cp313-cp313-linux_x86_64")
    assert desk.run("hello").exit_code == 0
