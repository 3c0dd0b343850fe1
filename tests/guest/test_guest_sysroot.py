"""Compilers and pkg-config of the seed, for a root of its own: real ones of this host."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.support import cannot

from cloche.guest import sysroot


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with a header and a pkg-config file that the host does not have."""
    root = tmp_path / "own root"
    for name in ("usr/include", "usr/lib64/pkgconfig", "usr/lib"):
        (root / name).mkdir(parents=True)
    (root / "lib64").symlink_to("usr/lib64")
    (root / "usr/include/only-here.h").write_text("#define HERE 1\n")
    (root / "usr/lib64/pkgconfig/here.pc").write_text(
        "prefix=/usr\nunits=${prefix}/lib/units\n"
        "Name: here\nDescription: here\nVersion: 1\nCflags: -I/usr/include/here\n"
    )
    return root


@pytest.fixture
def tools(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The tools for that root."""
    monkeypatch.setattr(sysroot, "TOOLS", tmp_path / "tools")
    monkeypatch.setattr(sysroot, "SEARCHED", tmp_path / "etc/ld.so.conf.d/root.conf")
    monkeypatch.setattr(sysroot, "update_cache", lambda: None)  # that would be the host's
    monkeypatch.setenv("__PORTAGE_TEST_PATH_OVERRIDE", "")
    for variable in sysroot.BUILD_TOOLS:
        monkeypatch.setenv(variable, "")
        monkeypatch.delenv(variable)
    sysroot.prepare(root)
    assert os.environ["__PORTAGE_TEST_PATH_OVERRIDE"] == str(tmp_path / "tools")
    return tmp_path / "tools"


def test_a_compiler_finds_the_roots_headers_and_none_of_the_seeds(tools: Path) -> None:
    if shutil.which("gcc") is None:
        cannot("gcc: not installed")

    def compile(text: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [tools / "gcc", "-x", "c", "-c", "-o", "/dev/null", "-"],
            input=text, capture_output=True, text=True, check=False,
        )  # fmt: skip

    assert compile("#include <only-here.h>\nint here = HERE;\n").returncode == 0
    assert "stdio.h" in compile("#include <stdio.h>\n").stderr


def asked(program: Path, *words: str | Path, **environment: str) -> str:
    """What a tool says."""
    if shutil.which(program.name) is None:
        cannot(f"{program.name}: not installed")
    told = subprocess.run(
        [program, *words], capture_output=True, text=True, env={**os.environ, **environment},
        check=True,
    )  # fmt: skip
    return told.stdout.strip()


def test_pkg_config_knows_the_roots_files_alone(tools: Path, root: Path) -> None:
    flags = asked(tools / "pkg-config", "--cflags", "here")
    assert flags.replace("\\ ", " ") == f"-I{root}/usr/include/here"
    listed = asked(tools / "pkg-config", "--list-all")
    assert listed.split()[0] == "here"
    assert "\n" not in listed


def test_pkg_config_says_where_to_install_without_the_place_of_the_root(tools: Path) -> None:
    assert asked(tools / "pkg-config", "--variable=units", "here") == "/usr/lib/units"


def test_pkg_config_finds_a_library_that_comes_with_the_sources(
    tools: Path, tmp_path: Path
) -> None:
    file = tmp_path / "work/pc/bundled.pc"
    file.parent.mkdir(parents=True)
    file.write_text("Name: bundled\nDescription: bundled\nVersion: 2\n")
    settings = {"PKG_CONFIG_PATH": str(file.parent), "WORKDIR": str(tmp_path / "work")}
    ask = (tools / "pkg-config", "--modversion")
    assert asked(*ask, "bundled", **settings) == "2"
    assert "bundled" not in asked(ask[0], "--list-all", PKG_CONFIG_PATH=str(file.parent))
    # As Portage's QA check asks.
    assert asked(*ask, file) == "2"
    asked(ask[0], f"--with-path={file.parent}", "--validate", file)


def test_libraries_of_the_root_come_after_the_seeds(tools: Path, root: Path) -> None:
    assert sysroot.SEARCHED.read_text() == f"{root}/lib64\n{root}/usr/lib\n"


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        ("gcc", True), ("x86_64-pc-linux-gnu-g++", True), ("gcc-12", True), ("clang-17.0", True),
        ("cc", True), ("cpp", True), ("gcc-ar", False), ("gcov", False), ("c99", False),
        ("ccache", False),
    ],
)  # fmt: skip
def test_what_a_compiler_is_called(name: str, is_one: bool) -> None:
    assert bool(sysroot.COMPILER.fullmatch(name)) is is_one


def test_what_runs_in_the_build_is_compiled_for_the_seed(tools: Path, tmp_path: Path) -> None:
    if shutil.which("gcc") is None:
        cannot("gcc: not installed")
    compiler = Path(os.environ["BUILD_CC"])
    assert compiler.is_absolute()
    assert tools not in compiler.parents
    program = tmp_path / "generator"
    subprocess.run(
        [compiler, "-x", "c", "-o", program, "-"],
        input="#include <stdio.h>\nint main(void) { puts(\"made\"); }\n", text=True, check=True,
    )  # fmt: skip
    told = subprocess.run([program], capture_output=True, text=True, check=True)
    assert told.stdout == "made\n"
