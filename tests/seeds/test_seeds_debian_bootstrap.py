"""mmdebstrap's command line, what its failures mean, and the package list of a tree."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support import cannot

from cloche.errors import Exit
from cloche.seeds.arch import host_arch
from cloche.seeds.debian import bootstrap, packages
from cloche.seeds.debian.apt import Mirror
from cloche.seeds.errors import SeedError

WANTED = bootstrap.Bootstrap(
    "bookworm", "amd64", Mirror("http://mirror.example/debian", Path("/k.gpg")), ("gcc", "make")
)

STATUS = """\
Package: gcc
Status: install ok installed
Architecture: amd64
Version: 4:12.2.0-3
Depends: cpp (= 4:12.2.0-3), gcc-12 (>= 12.2.0-1~) | other [amd64], lib:any
Description: a compiler
 with a : in a continuation
"""

INDEX = """\
Package: gcc
Architecture: amd64
Version: 4:12.2.0-3
SHA256: 1111
"""


def test_the_command_runs_alike_for_everyone() -> None:
    argv = bootstrap.command(WANTED, Path("/t"))
    assert argv[:4] == [
        "mmdebstrap", "--mode=unshare", "--format=directory", "--variant=minbase",
    ]  # fmt: skip
    assert "--include=gcc,make" in argv
    assert argv[-3:] == [
        "bookworm",
        "/t",
        "deb [signed-by=/k.gpg] http://mirror.example/debian bookworm main",
    ]


def test_packages_of_other_architectures_come_with_them() -> None:
    packages = ("gcc", "grub-pc-bin:amd64", "grub-efi-arm64-bin:arm64")
    argv = bootstrap.command(replace(WANTED, packages=packages), Path("/t"))
    assert f"--architectures={WANTED.arch},arm64" in argv


def test_of_the_environment_only_proxies_get_through() -> None:
    env = bootstrap.environment({"http_proxy": "http://p.example", "LANG": "de_DE", "PATH": "/x"})
    assert env["http_proxy"] == "http://p.example"
    assert "LANG" not in env
    assert "/x" not in env["PATH"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("E: Failed to fetch http://m/x/InRelease  Could not resolve", "cannot be used"),
        ("E: The repository 'http://m x Release' does not have a Release file.",
         "cannot be used"),
        ("W: GPG error: the public key is not available: NO_PUBKEY 0123", "not signed by a key"),
        ("dpkg: error processing package", "ended with status 100"),
    ],
)  # fmt: skip
def test_a_failure_is_named_by_its_words(tmp_path: Path, line: str, words: str) -> None:
    log = tmp_path / "log"
    log.write_text(f"I: running apt-get update...\n\n{line}\n")
    error = bootstrap.judge(WANTED, 100, log)
    assert isinstance(error, SeedError)
    assert words in error.what
    assert line in (error.detail or "")


def test_no_mmdebstrap_is_the_hosts_affair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SeedError, match="apt install mmdebstrap") as caught:
        bootstrap.bootstrap(WANTED, tmp_path / "tree", tmp_path / "log")
    assert caught.value.status is Exit.HOST


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH with stand-ins, of which `mmdebstrap` is for the test to write."""
    if os.geteuid() != 0:
        cannot("a seed is made as uid 0, of a user namespace at least")
    bin = tmp_path / "bin"
    bin.mkdir()
    for name in ("apt-get", "dpkg"):
        (bin / name).write_text("#!/bin/sh\n")
        (bin / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{bin}:/usr/bin:/bin")
    return bin


def stand_in(tools: Path, script: str) -> None:
    (tools / "mmdebstrap").write_text(f"#!/bin/sh\n{script}\n")
    (tools / "mmdebstrap").chmod(0o755)


@pytest.mark.real
def test_steps_are_reported_and_all_words_kept(
    tools: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(tools, "echo 'I: running apt-get update...' >&2; echo other; echo I: success")
    monkeypatch.setattr(bootstrap, "environment", lambda environ: dict(environ))
    steps: list[str] = []
    bootstrap.bootstrap(WANTED, tmp_path / "tree", tmp_path / "log", steps.append)
    assert steps == ["running apt-get update"]
    assert (tmp_path / "log").read_text().splitlines()[1:] == ["other", "I: success"]


@pytest.mark.real
def test_a_failed_bootstrap_leaves_no_tree(
    tools: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(tools, f"mkdir -p {tmp_path}/tree/etc; echo E: boom; exit 7")
    monkeypatch.setattr(bootstrap, "environment", lambda environ: dict(environ))
    with pytest.raises(SeedError, match="mmdebstrap ended with status 7") as caught:
        bootstrap.bootstrap(WANTED, tmp_path / "tree", tmp_path / "log")
    assert caught.value.detail == "E: boom"
    assert not (tmp_path / "tree").exists()


@pytest.mark.real
def test_nothing_of_a_bootstrap_outlives_a_killed_cloche(tools: Path, tmp_path: Path) -> None:
    """Not what left its session either, nor what ignores the signals of an orderly end."""
    alive = tmp_path / "alive"
    endless = f"while :; do echo $$ > {alive}; sleep 0.05; done"
    stand_in(tools, f"trap '' TERM HUP PIPE; setsid sh -c '{endless}' & wait")
    code = (
        "import sys, tests.seeds.test_seeds_debian_bootstrap as t; from pathlib import Path\n"
        "t.bootstrap.environment = dict\n"
        "t.bootstrap.bootstrap(t.WANTED, Path(sys.argv[1], 'tree'), Path(sys.argv[1], 'log'))\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, cwd=Path(__file__).parents[2]) as program:
        assert appears(alive, 30)
        program.kill()
    time.sleep(0.5)  # the kernel has to come to it
    alive.unlink()
    assert not appears(alive, 1)


def appears(path: Path, patience: float) -> bool:
    """Whether a file is there within so many seconds."""
    end = time.monotonic() + patience
    while not path.exists() and time.monotonic() < end:
        time.sleep(0.05)
    return path.exists()


@pytest.mark.real
def test_a_directory_with_something_in_it_is_left_alone(tools: Path, tmp_path: Path) -> None:
    stand_in(tools, "exit 1")
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/mine").touch()
    with pytest.raises(SeedError, match="not empty"):
        bootstrap.bootstrap(WANTED, tmp_path / "tree", tmp_path / "log")
    assert (tmp_path / "tree/mine").exists()


def test_architectures_are_named_in_every_tongue() -> None:
    assert host_arch("aarch64").chost == "aarch64-unknown-linux-gnu"
    with pytest.raises(SeedError, match="x86_64, aarch64"):
        host_arch("m68k")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "var/lib/dpkg").mkdir(parents=True)
    (tmp_path / "var/lib/apt/lists").mkdir(parents=True)
    (tmp_path / packages.STATUS).write_text(STATUS)
    (tmp_path / packages.LISTS / "mirror.example_Packages").write_text(INDEX)
    return tmp_path


def test_installed_packages_are_pinned_by_the_mirrors_index(tree: Path) -> None:
    assert packages.pinned(tree) == [packages.DebianPackage("gcc", "4:12.2.0-3", "amd64", "1111")]
    (gcc,) = packages.installed(tree)
    assert gcc.needs == (("cpp",), ("gcc-12", "other"), ("lib",))


def test_a_package_that_no_index_has_cannot_be_pinned(tree: Path) -> None:
    (tree / packages.LISTS / "mirror.example_Packages").write_text("")
    with pytest.raises(SeedError, match="gcc"):
        packages.pinned(tree)


def test_a_half_installed_package_is_refused(tree: Path) -> None:
    (tree / packages.STATUS).write_text(STATUS.replace("ok installed", "ok half-configured"))
    with pytest.raises(SeedError, match="half-configured"):
        packages.installed(tree)


def test_what_is_left_of_removed_packages_is_passed_over_where_a_tree_was_in_use(
    tmp_path: Path,
) -> None:
    status = tmp_path / packages.STATUS
    status.parent.mkdir(parents=True)
    gone = "Package: ed\nStatus: deinstall ok config-files\nArchitecture: amd64\nVersion: 1\n"
    status.write_text(f"{STATUS}\n{gone}")
    assert [each.name for each in packages.installed(tmp_path, alone=False)] == ["gcc"]
    with pytest.raises(SeedError, match="ed is 'deinstall ok config-files'"):
        packages.installed(tmp_path)
