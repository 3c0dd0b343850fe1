"""Texts of upstream in an ebuild: they are never code."""

from __future__ import annotations

import dataclasses
import subprocess

import pytest
from tests.autogen.published import Desk

from cloche.autogen.errors import RefusedError
from cloche.autogen.package import Ebuild
from cloche.autogen.text import ebuild_text
from cloche.errors import ClocheError

EBUILD = Ebuild("a", "a", "1", (), (), "Says hello", ("https://x.org",), "MIT", ("~amd64",))


def test_texts_of_upstream_are_never_code(desk: Desk) -> None:
    desk.index.release("hello", "1", "Home-page: https://x.org/$(touch x)`y`")
    named = "hello-1-py3-none-any.whl.metadata"
    text = desk.index.files[named].decode().replace("Says hello", 'a "$(id)" `id` \\ ${HOME}')
    desk.index.files[named] = text.encode()
    assert desk.run("hello").exit_code == 0
    written = desk.text("dev-python/hello/hello-1.ebuild")
    assert 'DESCRIPTION="a \\"\\$(id)\\" \\`id\\` \\\\ \\${HOME}"' in written
    assert "touch" not in written


CODE = '$(touch pwned)`touch pwned`"; touch pwned; "'
FIELDS = [
    "Summary", "Home-page", "Project-URL: Source,", "License-Expression", "License",
    "Classifier: License :: OSI Approved ::", "Requires-Python", "Requires-Dist", "Provides-Extra",
    "Requires-Dist: foo; extra ==", "Requires-Dist: foo[x]; python_version <",
]  # fmt: skip


@pytest.mark.parametrize("field", FIELDS)
def test_code_in_any_field_is_a_text_or_refused(desk: Desk, field: str) -> None:
    """The ebuild is run as bash: only what it calls of the eclasses is known there."""
    line = f"{field}{' ' if ':' in field else ': '}{CODE}"
    desk.index.release("hello", "1", line)
    done = desk.run("hello")
    path = desk.repository / "dev-python/hello/hello-1.ebuild"
    assert path.exists() == (done.exit_code == 0)
    if done.exit_code:
        assert isinstance(done.exception, ClocheError)
        return
    known = "inherit() { :; }; distutils_enable_tests() { :; }; python_gen_cond_dep() { :; };"
    script = f'{known} source "$1"; ls'
    ran = subprocess.run(
        ["bash", "-c", script, "x", path], cwd=desk.repository, capture_output=True, text=True
    )
    assert ran.stderr == ""
    assert "pwned" not in ran.stdout


@pytest.mark.parametrize("file", ["requires.txt", "setup.cfg", "pyproject.toml"])
def test_code_in_files_of_an_sdist_is_refused(desk: Desk, file: str) -> None:
    """Of an sdist that has no wheel beside it."""
    texts = {
        "requires.txt": ("hello.egg-info/requires.txt", f"[{CODE}]\nfoo\n"),
        "setup.cfg": ("setup.cfg", f"[options]\nsetup_requires =\n  {CODE}\n"),
        "pyproject.toml": (
            "pyproject.toml",
            f"[build-system]\nrequires = ['{CODE}']\nbuild-backend = 'x'\n",
        ),
    }
    name, text = texts[file]
    old = "Metadata-Version: 2.1\nName: hello\nVersion: 1\nLicense: MIT\n"
    files = {"PKG-INFO": old, "setup.py": "", "pyproject.toml": "", name: text}
    desk.index.release("hello", "1", files=files)
    del desk.index.pages["hello"][1]
    done = desk.run("hello")
    assert isinstance(done.exception, RefusedError)
    assert not list(desk.repository.glob("*/*/*.ebuild"))


@pytest.mark.parametrize(
    "change",
    [
        {"license": 'MIT"; id; "'},
        {"license": "MIT $(id)"},
        {"restrict": "`id`"},
        {"keywords": ("~amd64\nid",)},
        {"iuse": ("a\\",)},
    ],
)
def test_words_between_quotation_marks_cannot_end_them(change: dict[str, object]) -> None:
    assert ebuild_text(EBUILD, {})
    with pytest.raises(RefusedError, match="cannot stand in an ebuild"):
        ebuild_text(dataclasses.replace(EBUILD, **change), {})  # type: ignore[arg-type]
