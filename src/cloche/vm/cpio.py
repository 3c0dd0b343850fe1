"""Writing an initramfs: the kernel's "newc" archives (initramfs-buffer-format.rst)."""

from __future__ import annotations

import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

_MAGIC = b"070701"
_TRAILER = "TRAILER!!!"


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of an archive: its absolute path, type and permission bits, and its content.

    A symbolic link's content is its target. ``device`` is (major, minor) of a device node.
    """

    path: str
    mode: int
    content: bytes = b""
    device: tuple[int, int] = (0, 0)


def directory(path: str) -> Entry:
    """Make an entry of a directory."""
    return Entry(path, stat.S_IFDIR | 0o755)


def archive(entries: Iterable[Entry]) -> bytes:
    """Return an uncompressed archive; parent directories are added where they are missing."""
    parts: list[bytes] = []
    seen: set[str] = set()
    number = 0
    for entry in entries:
        for each in (*_parents(entry.path, seen), entry):
            if each.path in seen:
                continue
            seen.add(each.path)
            number += 1
            parts.append(_packed(each.path.lstrip("/"), each, number))
    parts.append(_packed(_TRAILER, Entry("", 0), 0))
    return b"".join(parts)


def _parents(path: str, seen: set[str]) -> list[Entry]:
    missing = [str(parent) for parent in PurePosixPath(path).parents if str(parent) != "/"]
    return [directory(parent) for parent in reversed(missing) if parent not in seen]


def _packed(name: str, entry: Entry, number: int) -> bytes:
    raw = name.encode(errors="surrogateescape") + b"\0"
    fields = (
        *(number, entry.mode, 0, 0, 1, 0, len(entry.content)),
        *(0, 0, *entry.device, len(raw), 0),
    )
    header = _MAGIC + b"".join(b"%08x" % field for field in fields)
    return _aligned(header + raw) + _aligned(entry.content)


def _aligned(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)
