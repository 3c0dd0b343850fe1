"""Reads what identifies this machine: files, programs, Portage."""

from __future__ import annotations

import functools
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cloche.client.program.problem import Problem

#: Files of an entry of the VDB that Portage's resolver reads.
ENTRY = (
    "BDEPEND", "BUILD_ID", "BUILD_TIME", "CHOST", "DEFINED_PHASES", "DEPEND", "EAPI", "IDEPEND",
    "IUSE", "KEYWORDS", "LICENSE", "PDEPEND", "PROPERTIES", "PROVIDES", "RDEPEND", "REQUIRES",
    "RESTRICT", "SLOT", "USE", "repository",
)  # fmt: skip
SMALL_REPOSITORY = 2000  # files
_CPV = re.compile(r"[\w+][\w+.-]*/[\w+][\w+.-]*")


@dataclass(frozen=True)
class Memory:
    """What is slow to read, by the times at which it was changed.

    ``packages`` and ``stamps`` are entries of the VDB and the times of their directories; ``trees``
    are digests of repositories by a digest of their files' names, sizes and times.
    """

    packages: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    stamps: Mapping[str, int] = field(default_factory=dict)
    trees: Mapping[str, str] = field(default_factory=dict)


@functools.lru_cache(maxsize=1)
def load_portage() -> tuple[Any, Any]:
    """Portage and its configuration, without what the caller's environment adds."""
    try:
        import portage
    except ImportError:
        others = {path.parts[3] for path in Path("/usr/lib").glob("python3*/site-packages/portage")}
        raise Problem(
            f"{sys.executable or 'this Python'} does not have Portage",
            f"run cloche-client with {' or '.join(sorted(others))}"
            if others
            else "run cloche-client on a Gentoo system, with the Python that runs emerge",
            status=3,
        ) from None
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    config_root, root = os.environ.get("PORTAGE_CONFIGROOT"), os.environ.get("ROOT")
    try:
        settings = portage.config(config_root=config_root, target_root=root, env=environment)
    except portage.exception.PortageException as error:
        raise Problem(f"Portage cannot read its configuration: {error}", status=2) from None
    return portage, settings


def read_lines(path: Path) -> list[str]:
    """The lines of a file without comments and empty ones; none if there is no file."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []
    stripped = (line.strip() for line in lines)
    return [line for line in stripped if line and not line.startswith("#")]


def run_quietly(words: Sequence[str]) -> str:
    """What a program prints, without questions and without a failure: empty if it is not there."""
    environment = {**os.environ, "LC_ALL": "C"}
    try:
        done = subprocess.run(
            words, capture_output=True, text=True, errors="replace", check=False, timeout=20,
            stdin=subprocess.DEVNULL, env=environment,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return "" if done.returncode else done.stdout + done.stderr


def portage_places() -> tuple[Path, Path]:
    """/etc/portage, and the home of the keyring with which Portage verifies packages."""
    _, settings = load_portage()
    etc = Path(settings["PORTAGE_CONFIGROOT"], "etc/portage")
    return etc, Path(settings.get("BINPKG_GPG_VERIFY_GPG_HOME") or etc / "gnupg")
