"""What fills an XFS without mounting it: a prototype file for mkfs.xfs(8), commands for xfs_db(8).

A line of a prototype file is NAME MODE UID GID, and what the type needs: of a file the path of its
content, of a link its target. A directory ends with ``$``. Words are separated by white space. With
the option ``slashes_are_spaces``, a slash in a name stands for a space. It has neither the sticky
bit nor times, which xfs_db writes afterwards.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from cloche.archives.tarformat import Member

#: The byte that stands for a space in the paths of contents; no name may have it.
SPACE = b"\x01"

_TYPES = {
    "file": b"-",
    "link": b"-",
    "directory": b"d",
    "symlink": b"l",
    "character": b"c",
    "block": b"b",
    "fifo": b"p",
}
_MODES = {"directory": 0o040000, "file": 0o100000, "link": 0o100000}
_SET_UID, _SET_GID, _STICKY, _PERMISSIONS = 0o4000, 0o2000, 0o1000, 0o777
_NEVER = re.compile(rb"[\t\n\v\f\r\x01]")
_PATH = re.compile(rb"[\w.+/@:,=~%\[\]()^{}!-]+")  # what xfs_db reads as one word
_EPOCH = 1 << 31  # seconds from the first to the epoch, for a file system with bigtime


def protofile(members: Iterable[Member], tree: bytes) -> Iterator[bytes]:
    """The lines for the members of a tarball, in which each directory precedes its content.

    ``tree`` is the directory with the contents, the same members with `SPACE` for a space. A hard
    link becomes a file of its own. Raises ValueError for a name that no such file can have.
    """
    yield from (b"/", b"0 0")
    above: list[bytes] = []
    for member in members:
        parts = _parts(member)
        if not parts:
            yield _about(member)
            continue
        while above != parts[: len(above)]:
            above.pop()
            yield b"$"
        name = parts[-1]
        if _NEVER.search(name) or name.startswith(b":") or name == b"$":
            raise ValueError(f"an XFS cannot be filled with {_text(member.name)}")
        content = tree + b"/" + b"/".join(parts).replace(b" ", SPACE)
        yield b" ".join([name.replace(b" ", b"/"), _about(member), *_more(member, content)])
        if member.type == "directory":
            above.append(name)
    yield from (b"$" for _ in above)
    yield b"$"


def commands(members: Iterable[Member]) -> Iterator[bytes]:
    """The commands of xfs_db that write modes and times, for paths that it can read.

    Each ``write`` prints a line that begins with ``core.m``. Raises ValueError if a mode cannot be
    written.
    """
    for member in members:
        path = b"/" + b"/".join(_parts(member))
        sticky = bool(member.mode & _STICKY) and member.type in _MODES
        if not _PATH.fullmatch(path):
            if sticky:
                raise ValueError(f"an XFS cannot have the sticky bit of {_text(member.name)}")
            continue
        yield b"path " + path
        if sticky:
            yield b"write core.mode 0%o" % (_MODES[member.type] | member.mode)
        yield b"write core.mtime.sec %d" % (member.mtime_ns + _EPOCH * 10**9)


def _parts(member: Member) -> list[bytes]:
    return [part for part in member.name.split(b"/") if part not in (b"", b".")]


def _about(member: Member) -> bytes:
    marks = (b"u" if member.mode & _SET_UID else b"-") + (b"g" if member.mode & _SET_GID else b"-")
    words = (marks, member.mode & _PERMISSIONS, member.uid, member.gid)
    return _TYPES[member.type] + b"%s%03o %d %d" % words


def _more(member: Member, content: bytes) -> Iterator[bytes]:
    if member.type in ("file", "link"):
        yield content
    elif member.type in ("character", "block"):
        yield b"%d %d" % member.device
    elif member.type == "symlink":
        if not member.target or _NEVER.search(member.target) or b" " in member.target:
            text = f"{_text(member.name)}, which leads to “{_text(member.target)}”"
            raise ValueError(f"an XFS cannot be filled with {text}")
        yield member.target


def _text(name: bytes) -> str:
    return name.decode(errors="replace")
