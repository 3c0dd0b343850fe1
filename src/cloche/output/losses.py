"""What an image format cannot hold of a root, and the warnings of the build about it."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from cloche.config.images import Format, Image, Iso, Qcow2, Squashfs
from cloche.config.mkosi import Mkosi
from cloche.config.repart import defined
from cloche.layers import Merged
from cloche.records.events import Note
from cloche.store.tree import OPAQUE, read_xattrs

ACLS, CAPABILITIES, OTHERS = "ACLs", "capabilities", "other extended attributes"
LINKS = "hard links"  # each name is a file of its own
_SHOWN = 3  # paths in a warning

Losses = Mapping[str, Sequence[str]]
"""Paths that have something of a kind."""


def not_held(format: Format) -> frozenset[str]:
    """The kinds of attributes that a format cannot store. It reads the files of ``repart``.

    squashfs stores only user.*, trusted.* and security.* (squashfs_fs.h), a cpio archive no
    extended attributes at all (initramfs-buffer-format).
    """
    if isinstance(format, Mkosi):
        if format.word in ("cpio", "uki", "esp"):
            return frozenset({ACLS, CAPABILITIES, OTHERS})
        types = [lines.get("Format") for lines in defined(format.repart).values()]
        types += [format.root_type] if format.word == "disk" and not format.repart else []
        return frozenset({ACLS} if "squashfs" in types else ())
    if isinstance(format, Qcow2) and format.root_type == "xfs":  # what mkfs.xfs(8) can fill
        return frozenset({ACLS, LINKS})
    holds = not isinstance(format, Squashfs) and not (isinstance(format, Iso) and format.squashfs)
    return frozenset(() if holds else {ACLS})


def losses(layers: Sequence[Path], kinds: Collection[str]) -> Losses:
    """Which paths of a root have attributes of these kinds."""
    found: dict[str, list[str]] = {}
    if not kinds:
        return found
    seen: set[tuple[int, int]] = set()
    for node in Merged(layers).walk():
        inode = (node.info.st_dev, node.info.st_ino)
        if LINKS in kinds and inode in seen:
            found.setdefault(LINKS, []).append(f"/{os.fsdecode(node.path)}")
        seen.add(inode)
        names = (name for name, _ in read_xattrs(node.origin) if name != OPAQUE)
        for kind in dict.fromkeys(map(_kind, names)):
            if kind in kinds:
                found.setdefault(kind, []).append(f"/{os.fsdecode(node.path)}")
    return found


def _kind(name: bytes) -> str:
    if name.startswith(b"system.posix_acl_"):
        return ACLS
    return CAPABILITIES if name == b"security.capability" else OTHERS


def data_of_losses(found: Losses) -> dict[str, Any]:
    """What the store keeps of them: some paths, and their number."""
    return {kind: [list(paths[:_SHOWN]), len(paths)] for kind, paths in sorted(found.items())}


def warning(image: Image, kind: str, some: Sequence[str], count: int) -> Note:
    """The warning for one kind."""
    names = ", ".join(os.fsencode(path).decode(errors="backslashreplace") for path in some)
    more = f" and {count - len(some)} more" if count > len(some) else ""
    what = f"the image {image.name} cannot hold {kind}, of {names}{more}"
    return Note(text=f"{image.origin}: {what}".replace("\n", "\\n"), level="warning")
