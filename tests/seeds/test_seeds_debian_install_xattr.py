"""The seed's install-xattr: install(1) itself, but where there are attributes to be copied."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.resources import as_file, files
from pathlib import Path

import pytest
from tests.support import cannot


def install(where: Path, *arguments: str | Path) -> None:
    """Run it; Portage's own helper is a stand-in that writes down what it was called with."""
    helper = where / "bin/ebuild-helpers/xattr/install"
    helper.parent.mkdir(parents=True)
    told = 'echo "$PORTAGE_INSTALL_XATTR_IMPLEMENTATION $*" > "$(dirname "$0")/told"'
    helper.write_text(f"#!/bin/sh\n{told}\n")
    helper.chmod(0o755)
    with as_file(files("cloche.seeds.debian").joinpath("install-xattr")) as script:
        command = [sys.executable, "-IS", script, *arguments]
        environment = {"PATH": "/usr/bin:/bin", "PORTAGE_BIN_PATH": str(where / "bin")}
        subprocess.run(command, env=environment, check=True)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_text("of the package")
    return path


def test_a_plain_file_is_installed_at_once(tmp_path: Path, source: Path) -> None:
    install(tmp_path, "-D", "-m", "640", source, tmp_path / "below/target")
    target = tmp_path / "below/target"
    assert target.read_text() == "of the package"
    assert target.stat().st_mode & 0o7777 == 0o640
    assert not (tmp_path / "bin/ebuild-helpers/xattr/told").exists()


def test_a_file_with_attributes_is_left_to_portages_own(tmp_path: Path, source: Path) -> None:
    try:
        os.setxattr(source, "user.of_the_package", b"value")
    except OSError as error:
        cannot(f"{tmp_path}: no extended attributes: {error.strerror}")
    install(tmp_path, "-m", "640", source, tmp_path / "target")
    told = (tmp_path / "bin/ebuild-helpers/xattr/told").read_text()
    assert told == f"python -m 640 {source} {tmp_path}/target\n"
