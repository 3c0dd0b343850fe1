"""`cloche distcc`: where the wrapper goes, and what stays."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support import cannot

from cloche.distcc.errors import DistccError
from cloche.distcc.install import COMPILERS, compilers, install, source
from cloche.errors import ClocheError, Exit


def test_links_lead_to_the_wrapper_and_take_the_place_of_those_to_distcc(tmp_path: Path) -> None:
    for name, target in (("gcc", "/usr/bin/distcc"), ("cc", "cloche-distcc")):
        (tmp_path / name).symlink_to(target)
    for _ in range(2):
        made = install(tmp_path, ("gcc", "cc", "g++"))
        assert made == tuple(tmp_path / n for n in ("cloche-distcc", "gcc", "cc", "g++"))
        assert {p.name for p in tmp_path.iterdir()} == {p.name for p in made}
        assert {str(path.readlink()) for path in made[1:]} == {"cloche-distcc"}
        assert stat.S_IMODE(made[0].stat().st_mode) == 0o755
    done = subprocess.run(
        [made[1]], env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (127, "cloche-distcc: distcc is not on PATH\n")


@pytest.mark.parametrize("name", ["gcc", "cloche-distcc"])
def test_what_is_not_ours_stays(tmp_path: Path, name: str) -> None:
    (tmp_path / name).symlink_to("/usr/bin/true")
    with pytest.raises(DistccError, match="is in the way") as told:
        install(tmp_path, ("cc", "gcc"))
    assert told.value.where == str(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_compiler_that_cannot_compile_leaves_nothing(tmp_path: Path) -> None:
    for compiler, words in (("never-cc", "is not installed"), ("false", "cannot compile")):
        with pytest.raises(DistccError, match=words) as told:
            install(tmp_path / "made", cc=compiler)
        assert told.value.status is Exit.HOST
        assert list((tmp_path / "made").iterdir()) == []


def test_a_place_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "made").touch()
    with pytest.raises(ClocheError, match="cannot be written") as told:
        install(tmp_path / "made")
    assert told.value.where == str(tmp_path / "made")


def test_a_place_that_cannot_be_looked_at_is_named(tmp_path: Path) -> None:
    place = tmp_path / ("x" * 300)  # as one without permission, which root has
    with pytest.raises(ClocheError, match="cannot be written") as told:
        install(place)
    assert told.value.where == str(place)
    assert "name a directory" in (told.value.todo or "")


def test_compilers_are_found_under_all_their_names(tmp_path: Path) -> None:
    for name in ("gcc", "sparc-sun-gcc", "sparc-sun-c++", "clang", "other"):
        (tmp_path / name).write_text("#!/bin/sh\necho sparc-sun\n")
        (tmp_path / name).chmod(0o755)
    found = compilers(str(tmp_path))
    assert set(found) == {"gcc", "clang", "sparc-sun-gcc", "sparc-sun-c++"}
    assert compilers(str(tmp_path / "none")) == ()
    assert set(COMPILERS) >= {"cc", "g++"}


def cloche(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cloche", "distcc", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_command_installs_and_prints(tmp_path: Path) -> None:
    done = cloche("install", str(tmp_path / "made"), "--link", "gcc")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.splitlines() == [
        f"{tmp_path}/made/{name} is written" for name in ("cloche-distcc", "gcc")
    ]
    assert cloche("source").stdout == source()
    refused = cloche("install", str(tmp_path), "--link", "../gcc")
    assert refused.returncode == 2
    assert "“../gcc” is not the name of a file" in refused.stderr


def test_the_wrapper_compiles_without_a_warning(tmp_path: Path) -> None:
    words = ["gcc", "-O2", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-x", "c", "-"]
    try:
        done = subprocess.run(
            [*words, "-o", tmp_path / "made"], input=source(), text=True, capture_output=True,
            check=False,
        )  # fmt: skip
    except FileNotFoundError:
        cannot("there is no gcc")
    assert done.returncode == 0, done.stderr
