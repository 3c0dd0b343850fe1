"""Roots in which engines are probed. They need Python, and nothing of Gentoo."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from cloche.sandbox.base import Bind
from cloche.sandbox.errors import HostError

_TOP = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
_EMPTY = ("etc", "root", "var/tmp", "tmp", "run", "dev", "proc", "sys", "usr")
_PYTHON = "usr/bin/python3"
_USERS = (
    "root:x:0:0:root:/root:/bin/sh\n"
    "portage:x:250:250:portage:/var/tmp/portage:/bin/false\n"
    "nobody:x:65534:65534:nobody:/:/bin/false\n"
)


@dataclass(frozen=True, slots=True)
class Root:
    """Layers, the bottom first, and binds; ``python`` is a path inside, ``about`` for people."""

    lowers: tuple[Path, ...]
    binds: tuple[Bind, ...]
    python: str
    about: str

    def find(self, path: str) -> Path | None:
        """The file on the host of an absolute path inside; None if it does not exist."""
        for lower in reversed(self.lowers):
            place = lower / path.lstrip("/")
            if place.is_symlink() or place.exists():
                return place
        return None


def given_root(directory: Path, about: str) -> Root:
    """A complete tree as the root. Raises HostError."""
    if not (directory / _PYTHON).exists():
        raise HostError(f"{directory} cannot be a root to probe in: it has no /{_PYTHON}")
    return Root((directory,), (), f"/{_PYTHON}", about)


def host_root(room: Path) -> Root:
    """The host's own programs, read-only, over an empty root made in ``room``. Raises HostError.

    Enough for probing an engine where there is no seed yet; never for building.
    """
    if not (Path("/") / _PYTHON).exists():
        raise HostError(
            f"no root to probe engines in: there is no seed, and no /{_PYTHON} on this host",
            "cloche seed bootstrap` in a project, or `cloche engines --probe --root DIR",
        )
    lower = room / "root"
    for name in _EMPTY:
        (lower / name).mkdir(parents=True)
    (lower / "etc/passwd").write_text(_USERS)
    binds = [Bind(Path("/usr"), "/usr")]
    for name in _TOP:
        place = Path("/", name)
        if place.is_symlink():
            (lower / name).symlink_to(place.readlink())
        elif place.is_dir():
            binds.append(Bind(place, f"/{name}"))
    return Root((lower,), tuple(binds), f"/{_PYTHON}", f"the host's /usr ({sys.platform})")
