"""Only what cloche made is replaced."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.support import User

from cloche.cli.main import cli
from cloche.errors import ClocheError, Exit
from cloche.output import binhost, claim


@pytest.mark.parametrize("kind", ["foreign", "file", "link"])
def test_what_cloche_did_not_make_stays(tmp_path: Path, kind: str) -> None:
    packages = tmp_path / "binpkgs"
    if kind == "foreign":
        packages.mkdir()
        (packages / "Packages").write_text("Portage's own\n")
    elif kind == "file":
        packages.write_text("a file")
    else:
        (tmp_path / "elsewhere").mkdir()
        packages.symlink_to("elsewhere")
    with pytest.raises(ClocheError, match="not created by cloche") as raised:
        binhost.check(tmp_path)
    assert str(packages) in str(raised.value)
    assert raised.value.status == Exit.BAD_INPUT


def test_what_cloche_made_or_nobody_filled_may_go(tmp_path: Path) -> None:
    claim.check_directory(tmp_path / "not/there/yet")
    binhost.check(tmp_path / "not/there/yet")
    packages = tmp_path / "binpkgs"
    packages.mkdir()
    binhost.check(tmp_path)
    claim.mark(packages, "tiny", tmp_path)
    (packages / "Packages").write_text("")
    binhost.check(tmp_path)
    assert json.loads((packages / claim.MARKER).read_text()) == {
        "machine": "tiny",
        "project": str(tmp_path),
    }


def test_a_build_is_refused_before_it_begins(tmp_path: Path) -> None:
    CliRunner().invoke(cli, ["init", str(tmp_path / "p")], catch_exceptions=False)
    precious = tmp_path / "cache/binpkgs/Packages"
    precious.parent.mkdir(parents=True)
    precious.write_text("precious")
    words = ["-C", str(tmp_path / "p"), "--store", str(tmp_path / "store"), "build", "first", "-o"]
    done = CliRunner().invoke(cli, [*words, str(tmp_path / "cache")])
    assert "not created by cloche" in str(done.exception)
    done = CliRunner().invoke(cli, [*words, "/dev/null"])
    assert "/dev/null is not a directory" in str(done.exception)
    assert precious.read_text() == "precious"
    done = CliRunner().invoke(cli, [*words, "/proc/x"])
    assert str(done.exception) == (
        "/proc/x: cannot be written: No such file or directory; "
        "choose a directory that you may write to with --output"
    )
    assert not (tmp_path / "store").exists()


def test_the_look_at_a_directory_leaves_nothing(tmp_path: Path) -> None:
    claim.check_directory(tmp_path)
    claim.check_directory(tmp_path / "a/b")
    assert list(tmp_path.iterdir()) == []


READ_ONLY = 'mount -t tmpfs none "$1" && mount -o remount,ro "$1" && shift && exec "$@"'


@pytest.mark.real
@pytest.mark.parametrize(
    ("words", "todo"),
    [
        (
            ("build", "first", "-o", "RO/x"),
            "choose a directory that you may write to with --output",
        ),
        (("--store", "RO/x", "plan", "first"), "name one of your own with --store"),
        (("init", "RO/x"), "choose a directory that you may write to"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_a_read_only_mount_is_the_hosts_trouble_before_any_work(
    root: User, tmp_path: Path, words: tuple[str, ...], todo: str
) -> None:
    project, mount, store = tmp_path / "p", tmp_path / "ro", tmp_path / "store"
    root.run("init", project, check=True)
    mount.mkdir()
    prefix = ("unshare", "--mount", "sh", "-c", READ_ONLY, "sh", str(mount))
    named = [word.replace("RO", str(mount)) for word in words]
    done = root.run(*named, cwd=project, prefix=prefix, env={"CLOCHE_STORE": str(store)})
    assert done.returncode == 3, done.stderr
    assert f"{mount}/x: " in done.stderr
    assert "cannot be written: Read-only file system; " in done.stderr
    assert todo in done.stderr
    assert not store.exists()


@pytest.mark.real
def test_what_a_user_may_not_do_is_the_hosts_trouble(ordinary: User, tmp_path: Path) -> None:
    project = ordinary.home / tmp_path.name
    ordinary.run("init", project, check=True)
    for words in (("init", "/usr/foo"), ("--store", "/var/lib/foo", "plan", "first")):
        done = ordinary.run(*words, cwd=project)
        assert done.returncode == 3, done.stderr
        assert f"{next(word for word in words if word[0] == '/')}: " in done.stderr
    (project / "machines/first.toml").chmod(0)
    done = ordinary.run("plan", "first", cwd=project)
    assert done.returncode == 3, done.stderr
    assert "machines/first.toml: cannot be read: Permission denied" in done.stderr
    assert not (tmp_path / "store").exists()


def test_two_place_one_after_the_other(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; from cloche.output import claim\n"
        "with claim.alone(pathlib.Path(sys.argv[1])): print('in', flush=True)"
    )
    with claim.alone(tmp_path):
        other = subprocess.Popen(
            [sys.executable, "-c", code, tmp_path], stdout=subprocess.PIPE, text=True
        )
        with pytest.raises(subprocess.TimeoutExpired):
            other.wait(1)
    assert other.communicate(timeout=20)[0] == "in\n"
