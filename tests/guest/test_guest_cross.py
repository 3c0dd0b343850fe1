"""Names of a cross compiler's tools, for a root of another CPU: real compilers of this host."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.support import cannot

from cloche.guest import cross, sysroot

TOLD = {"chost": "board-unknown-linux-gnu", "tools": "board-linux-gnu-"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with its own stdlib.h."""
    root = tmp_path / "own root"
    (root / "usr/include").mkdir(parents=True)
    (root / "usr/lib/pkgconfig").mkdir(parents=True)
    (root / "usr/lib/pkgconfig/here.pc").write_text(
        "Name: here\nDescription: here\nVersion: 1\nCflags: -I/usr/include/here\n"
    )
    for name in ("stdlib.h", "features.h"):  # the latter is for C++
        (root / "usr/include" / name).write_text("#define HERE 1\n")
    return root


@pytest.fixture
def tools(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The tools for that root; the cross compiler is this host's under another name."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("gcc", "g++", "strip"):
        if (found := shutil.which(name)) is None:
            cannot(f"{name}: not installed")
        (programs / f"{TOLD['tools']}{name}").symlink_to(found)
    monkeypatch.setenv("PATH", f"{os.environ['PATH']}:{programs}")
    monkeypatch.setattr(sysroot, "TOOLS", tmp_path / "tools")
    monkeypatch.setenv("__PORTAGE_TEST_PATH_OVERRIDE", "")
    for variable in sysroot.BUILD_TOOLS:
        monkeypatch.setenv(variable, "")
        monkeypatch.delenv(variable)
    cross.prepare(dict(TOLD), root)
    assert os.environ["__PORTAGE_TEST_PATH_OVERRIDE"] == str(tmp_path / "tools")
    assert Path(os.environ["BUILD_CC"]).name == "gcc"
    return tmp_path / "tools"


def headers(tools: Path, name: str, text: str, *words: str) -> list[str]:
    """The headers that a compiler reads for a source, those of the compiler's own left out."""
    done = subprocess.run(
        [tools / f"{TOLD['chost']}-{name}", "-E", *words, "-"],
        input=text, capture_output=True, text=True, check=False,
    )  # fmt: skip
    lines = [line.split('"')[1] for line in done.stdout.splitlines() if line.startswith("# 1 ")]
    return [line for line in lines if line.startswith("/")]


def test_only_names_with_chost_are_for_the_root(tools: Path) -> None:
    names = {path.name for path in tools.iterdir()}
    assert {f"{TOLD['chost']}-{name}" for name in ("gcc", "g++", "strip")} <= names
    assert f"{TOLD['tools']}gcc" in names  # the seed's own name leads there, too
    assert not names & {"gcc", "g++", "cc", "pkg-config", "strip"}
    assert "sysroot" not in (tools / f"{TOLD['chost']}-strip").read_text()


@pytest.mark.parametrize(
    ("name", "words"), [("gcc", ("-x", "c")), ("gcc", ("-x", "c++")), ("g++", ("-x", "c++"))]
)
def test_c_headers_are_the_roots_in_both_languages(
    tools: Path, root: Path, name: str, words: tuple[str, ...]
) -> None:
    """Also those that C++ looks for after its own (#include_next)."""
    found = headers(tools, name, "#include <stdlib.h>\n", *words)
    assert str(root / "usr/include/stdlib.h") in found
    assert not [each for each in found if not each.startswith(str(root)) and "/c++/" not in each]
    assert bool([each for each in found if "/c++/" in each]) == ("c++" in words)


def test_pkg_config_with_chost_knows_the_roots_files_alone(tools: Path, root: Path) -> None:
    if shutil.which("pkg-config") is None:
        cannot("pkg-config: not installed")

    def asked(*words: str) -> str:
        command = [tools / f"{TOLD['chost']}-pkg-config", *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    assert str(root / "usr/include/here") in asked("--cflags", "here").replace("\\", "")
    assert asked("--list-all").split()[0] == "here"


def test_who_wants_no_headers_gets_none(tools: Path) -> None:
    assert headers(tools, "gcc", "#include <stdlib.h>\n", "-x", "c", "-nostdinc") == []
    assert headers(tools, "g++", "#include <cstdlib>\n", "-x", "c++", "-nostdinc++") == []
