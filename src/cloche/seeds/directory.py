"""A seed from a directory of the host: an unpacked root, or the running system itself."""

from __future__ import annotations

import os
from pathlib import Path

from cloche.archives import (
    ImportOptions,
    import_directory,
)
from cloche.config.lock import TreeSeed
from cloche.linux.mounts import mount_points
from cloche.seeds.errors import missing_file
from cloche.seeds.types import SeedContext, SeedRequest

#: Of a running system: what belongs to the kernel, to users, to services, or can be had again.
NOT_OF_A_SYSTEM = (
    *("dev", "proc", "run", "sys", "tmp", "var/tmp", "home", "root", "mnt", "media", "boot"),
    *("srv", "swapfile", "var/lib/containers", "var/lib/docker", "var/lib/libvirt"),
    *("etc/NetworkManager/system-connections", "etc/krb5.keytab", "etc/letsencrypt", "etc/ppp"),
    *("var/cache", "var/db/repos", "var/log", "var/spool", "etc/machine-id", "etc/ssl/private"),
    *("etc/ssh", "etc/wireguard", "var/lib/systemd/random-seed", "var/lib/private"),
)
#: Files with passwords, which are taken out.
SHADOWS = ("etc/shadow", "etc/shadow-", "etc/gshadow", "etc/gshadow-")


def make(request: SeedRequest, room: Path, context: SeedContext) -> tuple[Path, TreeSeed]:
    """Copy the directory; the host's is only read. Raises `SeedError`, and OSError.

    Mount points below it are empty directories in the seed. Of the running system (``/``) what
    holds its users' and its own secrets stays out, and passwords are taken out of shadow(5).
    """
    source = request.path("path")
    if source is None or not source.is_dir():
        raise missing_file(request.spec.name, "path", source, "directory")
    source, tree = source.resolve(), room / "tree"
    system = source == Path("/")
    apart = [os.fsencode(name) for name in (NOT_OF_A_SYSTEM if system else ())]
    store = context.store.path.resolve()
    apart += [os.fsencode(store.relative_to(source))] if store.is_relative_to(source) else []
    apart += _mounted_below(source)
    if system:
        closed = closed_names(source, frozenset(apart))
        apart += closed
        if closed:
            context.report(
                f"left out, as you may not read them: {len(closed)} files and directories"
            )
    context.report(f"copying {source}")
    options = ImportOptions(devices="skip", one_file_system=True, emptied=frozenset(apart))
    import_directory(source, tree, options)
    if system:
        without_passwords(tree)
    return tree, TreeSeed("directory")


def _mounted_below(source: Path) -> list[bytes]:
    """Mount points, relative to the directory: binds of the same file system among them."""
    above = os.fsencode(source).rstrip(b"/") + b"/"
    points = (point for point in mount_points() if point.startswith(above))
    return [point.removeprefix(above) for point in points if point != above]


def closed_names(source: Path, apart: frozenset[bytes]) -> list[bytes]:
    """What is not for this user to read, relative to the directory; not looked for in ``apart``."""
    closed = []
    waiting = [b""]
    while waiting:
        above = waiting.pop()
        with os.scandir(os.path.join(os.fsencode(source), above)) as found:  # noqa: PTH118 - bytes
            for entry in found:
                name = above + b"/" + entry.name if above else entry.name
                inside = entry.is_dir(follow_symlinks=False)
                if name in apart or not (inside or entry.is_file(follow_symlinks=False)):
                    continue
                if not os.access(entry, os.R_OK | (os.X_OK if inside else 0), effective_ids=True):
                    closed.append(name)
                elif inside:
                    waiting.append(name)
    return closed


def without_passwords(tree: Path) -> None:
    """Lock every password of a tree's shadow(5) and gshadow(5)."""
    for name in SHADOWS:
        file = tree / name
        if file.is_symlink() or not file.is_file():
            continue
        lines = [line.split(":") for line in file.read_text(errors="surrogateescape").splitlines()]
        for fields in lines:
            if len(fields) > 1 and not fields[1].startswith(("!", "*")):
                fields[1] = "!"
        text = "".join(":".join(fields) + "\n" for fields in lines)
        file.write_text(text, errors="surrogateescape")
