"""Which version of cloche this is: a checkout's is that of its commit.

Hatchling loads this file alone to find the version that it builds (pyproject.toml).
"""

from __future__ import annotations

import re
import subprocess
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed
from pathlib import Path

#: Where the source lies in a checkout: it is `src/cloche` there.
_ABOVE = Path(__file__).resolve().parents[2]
_DESCRIBED = re.compile(
    r"(?:v(?P<tag>.+)-(?P<since>\d+)-g)?(?P<commit>[0-9a-f]+)(?P<dirty>-dirty)?"
)
UNKNOWN = "0"


def version() -> str:
    """The version, as `cloche --version` shows it.

    The metadata of an editable installation does not follow later commits, so a checkout is
    described by git. Without history or installation the version is 0.
    """
    if described := _described(_ABOVE):
        return described
    try:
        return installed("cloche")
    except PackageNotFoundError:
        return UNKNOWN


def version_of_source() -> str:
    """The version of the checkout around this file. An sdist has its version in PKG-INFO."""
    return _described(_ABOVE) or UNKNOWN


def _described(directory: Path) -> str | None:
    if not ((directory / ".git").exists() and (directory / "src/cloche").is_dir()):
        return None
    describe = ["describe", "--tags", "--match=v*", "--long", "--always", "--dirty"]
    try:
        done = subprocess.run(
            ["git", "-C", directory, *describe], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):  # no git, or another user's checkout
        return None
    return as_version(done.stdout.strip())


def as_version(described: str) -> str | None:
    """What `git describe --long --always --dirty` says, as a version (PEP 440).

    The commit of a tag v1.2 has version 1.2; three commits later it is 1.2+3.gCOMMIT.
    """
    found = _DESCRIBED.fullmatch(described)
    if found is None:
        return None
    since, dirty = int(found["since"] or 0), ".dirty" if found["dirty"] else ""
    if found["tag"] and not since and not dirty:
        return found["tag"]
    count = f"{since}." if found["tag"] else ""
    return f"{found['tag'] or UNKNOWN}+{count}g{found['commit']}{dirty}"
