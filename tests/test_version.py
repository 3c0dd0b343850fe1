"""The version of a checkout, of a copy of one, and of an installation."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Callable
from importlib.metadata import version as installed
from pathlib import Path

import pytest

from cloche import version

WHO = {f"GIT_{role}_{key}": "a@example.org" for role in ("AUTHOR", "COMMITTER")
       for key in ("NAME", "EMAIL")}  # fmt: skip


def git(*words: str, cwd: Path) -> None:
    env = {"PATH": os.environ["PATH"], "HOME": "/nowhere", "GIT_CONFIG_NOSYSTEM": "1", **WHO}
    subprocess.run(["git", *words], cwd=cwd, env=env, check=True, capture_output=True)


@pytest.mark.parametrize(
    ("described", "expected"),
    [
        ("v1.2.3-0-gabcdef0", "1.2.3"),
        ("v1.2.3-14-gabcdef0", "1.2.3+14.gabcdef0"),
        ("v1.2.3-0-gabcdef0-dirty", "1.2.3+0.gabcdef0.dirty"),
        ("v1.0rc1-0-gabcdef0", "1.0rc1"),
        ("abcdef0", "0+gabcdef0"),
        ("abcdef0-dirty", "0+gabcdef0.dirty"),
        ("", None),
    ],
)
def test_what_git_describes_as_a_version(described: str, expected: str | None) -> None:
    assert version.as_version(described) == expected


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A directory with the part of the source that finds the version."""
    place = tmp_path / "src/cloche"
    place.mkdir(parents=True)
    shutil.copy(version.__file__, place)
    return tmp_path


def load(checkout: Path) -> tuple[Callable[[], str], Callable[[], str]]:
    """Load the file alone, as hatchling does."""
    spec = importlib.util.spec_from_file_location("its", checkout / "src/cloche/version.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.version, module.version_of_source


def test_a_checkout_has_the_version_of_its_commit(checkout: Path) -> None:
    shown, built = load(checkout)
    git("init", "-q", "-b", "main", cwd=checkout)
    git("add", ".", cwd=checkout)
    git("commit", "-qm", "first", cwd=checkout)
    assert shown().startswith("0+g")
    git("tag", "v4.5", cwd=checkout)
    git("tag", "other-9", cwd=checkout)  # not a version
    assert shown() == built() == "4.5"
    (checkout / "src/cloche/version.py").open("a").write("#\n")
    assert shown().endswith(".dirty")
    git("commit", "-qam", "second", cwd=checkout)
    assert shown() == built()
    assert shown().startswith("4.5+1.g")


def test_a_copy_without_history_has_the_installed_version_but_builds_version_0(
    checkout: Path,
) -> None:
    shown, built = load(checkout)
    assert shown() == installed("cloche")
    assert built() == version.UNKNOWN


def test_without_git_a_checkout_has_the_installed_version(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git("init", "-q", "-b", "main", cwd=checkout)
    monkeypatch.setenv("PATH", "/nowhere")
    assert load(checkout)[0]() == installed("cloche")
