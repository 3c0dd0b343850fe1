"""The command line of systemd-nspawn for a root that is not trusted, and the root itself."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cloche.booting.errors import BootError, missing_program, not_bootable
from cloche.booting.media import Medium
from cloche.errors import Exit

PROGRAM = "systemd-nspawn"
_INITS = ("usr/lib/systemd/systemd", "lib/systemd/systemd", "sbin/init", "usr/sbin/init")


@dataclass(frozen=True, slots=True)
class Container:
    """A root that systemd-nspawn boots. ``credentials`` are for systemd, by name."""

    medium: Medium
    name: str
    network: bool = False
    credentials: Mapping[str, str] | None = None


def check(medium: Medium) -> None:
    """See that this host and this user can boot it so. Raises `BootError`."""
    if shutil.which(PROGRAM) is None:
        packages = "systemd-container (Debian) or sys-apps/systemd (Gentoo), or boot it in QEMU"
        raise missing_program(PROGRAM, packages)
    if os.geteuid() != 0:
        what = f"{PROGRAM} can only be used by root"
        raise BootError(what, todo="run it as root, or boot an image in QEMU", status=Exit.HOST)
    if medium.kind not in ("directory", "tarball", "disk") or medium.format != "raw":
        what = f"{PROGRAM} boots directories, tarballs and raw disks"
        raise not_bootable(medium.path, what, "leave out --nspawn")
    if medium.kind == "directory" and not has_init(medium.path):
        raise without_init(medium.path)


def has_init(root: Path) -> bool:
    """Whether a root has what systemd-nspawn starts. Links are not followed: they lead to it."""
    return any((root / name).is_symlink() or (root / name).is_file() for name in _INITS)


def without_init(path: Path) -> BootError:
    """The error for a root without an init."""
    what = "the root has no init"
    return not_bootable(path, what, "add openrc, systemd or busybox to its packages")


def command(container: Container) -> list[str]:
    """The words that boot it. Changes are on a tmpfs, which goes with it."""
    kind = "--image" if container.medium.kind == "disk" else "--directory"
    words = [PROGRAM, "--quiet", f"{kind}={container.medium.path}", "--boot"]
    words += ["--volatile=overlay", f"--machine={container.name}", "--register=no", "--keep-unit"]
    words += [
        "--kill-signal=SIGKILL",
        "--link-journal=no",
        "--resolv-conf=off",
        "--timezone=off",
        "--settings=no",
    ]
    words += [] if container.network else ["--private-network"]
    for name, value in (container.credentials or {}).items():
        words.append(f"--set-credential={name}:{value}")
    return words
