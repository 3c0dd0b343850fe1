"""Makes a tree, name by name, from untrusted members.

Every name is created relative to a descriptor of its directory, which is reached from the tree's
root component by component, without following links. An existing file is never written to, but
removed first. So no name can change anything outside of the tree.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cloche.archives.errors import ImportRefusedError, over_limit
from cloche.archives.tarformat import Member, Read
from cloche.errors import Exit
from cloche.layers.identity import SOURCE_DATE_EPOCH
from cloche.store.removal import remove_at
from cloche.store.tree import OPAQUE, lasting, open_directory

WHITEOUT = b".wh."
OPAQUE_WHITEOUT = b".wh..wh..opq"
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_NAME = 255  # bytes of one component: NAME_MAX of Linux
_TARGET = 4095  # bytes of a symbolic link: PATH_MAX
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of an import.

    ``bytes`` of all content, holes of sparse files included; ``entries``, directories that the
    archive only implies included; ``path`` bytes of one name; ``depth`` of directories;
    ``metadata`` bytes that describe one member; ``id`` the highest uid and gid, by default that of
    cloche's user namespace.
    """

    bytes: int = 64 << 30
    entries: int = 2_000_000
    path: int = 2048
    depth: int = 128
    metadata: int = 1 << 20
    id: int = 65_535


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """How to import.

    ``devices``: whether a device node is refused, left out, or made. ``whiteouts``: "oci" reads
    names that begin with ``.wh.`` as whiteouts of OCI layers (image-spec, layer.md); otherwise they
    are ordinary names. "overlay" makes overlayfs's own whiteouts and opaque marks, as the layers of
    a store have them. For directories only: with ``one_file_system`` other mounted file systems
    are left out, except for their mount points; ``emptied`` are paths whose directories are made
    without content, and whose other files are left out.
    """

    limits: Limits = Limits()
    devices: Literal["refuse", "skip", "make"] = "refuse"
    whiteouts: Literal["none", "oci", "overlay"] = "none"
    one_file_system: bool = False
    emptied: frozenset[bytes] = frozenset()


class Extractor:
    """Makes one tree in an existing, empty directory."""

    def __init__(self, root: Path, source: Path, options: ImportOptions) -> None:
        self.entries = 0
        self.bytes = 0
        self.skipped: list[bytes] = []
        self._source = source
        self._options = options
        self._limits = options.limits
        self._root = open_directory(root)
        self._directories: dict[bytes, Member | None] = {b"": None}
        self._opaque: set[bytes] = set()
        self._hidden: set[bytes] = set()
        self._parent = (b"", os.dup(self._root))

    def close(self) -> None:
        """Close the descriptors."""
        os.close(self._parent[1])
        os.close(self._root)

    def extract(self, member: Member, read: Read) -> None:
        """Make one name. Raises `ImportRefusedError`, and OSError."""
        self._count(member.name)
        path = self._safe(member.name, member.name)
        above, _, name = path.rpartition(b"/")
        if not self._wanted(member):
            return
        if not path:
            if member.type != "directory":
                raise self._unsafe(member.name, "is that of the tree itself")
            self._directories[path] = member
            return
        within = self._enter(above, member.name)
        if self._options.whiteouts == "oci" and name.startswith(WHITEOUT):
            self._mark(within, above, name, member)
        elif member.type == "directory":
            self._directory(within, name, path, member)
        else:
            self._make(within, name, path, member, read)

    def finish(self) -> None:
        """Set the attributes of directories, deepest first: making names in them changes these."""
        for path in sorted(self._directories, reverse=True):
            fd = os.dup(self._enter(path, path))
            try:
                member = self._directories[path]
                if member is None:
                    os.fchown(fd, os.geteuid(), os.getegid())
                    os.fchmod(fd, 0o755)
                else:
                    self._dress(fd, member)
                if path in self._opaque:
                    os.setxattr(fd, OPAQUE, b"y")
                time = SOURCE_DATE_EPOCH * 10**9 if member is None else member.mtime_ns
                os.utime(fd, ns=(time, time))
            finally:
                os.close(fd)

    # Names

    def _safe(self, path: bytes, name: bytes) -> bytes:
        """A name without empty components and dots. Raises if it leads out of the tree.

        ``name`` is the member's, for the error.
        """
        if not path or b"\0" in path:
            raise self._unsafe(name, "is empty or has a null byte")
        if path.startswith(b"/"):
            raise self._unsafe(name, "is absolute")
        parts = [part for part in path.split(b"/") if part not in (b"", b".")]
        if b".." in parts:
            raise self._unsafe(name, "has a component `..`")
        self._limit("path", len(path), name)
        self._limit("depth", len(parts), name)
        if any(len(part) > _NAME for part in parts):
            raise self._unsafe(name, f"has a component of over {_NAME} bytes")
        return b"/".join(parts)

    def _enter(self, path: bytes, name: bytes) -> int:
        """A descriptor of a directory of the tree, which is made if it does not exist."""
        if path == self._parent[0]:
            return self._parent[1]
        fd = os.dup(self._root)
        done = b""
        for part in path.split(b"/") if path else ():
            done = done + b"/" + part if done else part
            try:
                if done not in self._directories:
                    self._mkdir(fd, part, done)
                    self._count(name)
                    self._directories[done] = None
                below = open_directory(part, fd)
            except (FileExistsError, NotADirectoryError) as error:
                what = f"the name leads through {os.fsdecode(done)}, which is not a directory"
                raise ImportRefusedError(self._source, name, what) from error
            finally:
                os.close(fd)
            fd = below
        os.close(self._parent[1])
        self._parent = (path, fd)
        return fd

    def _mkdir(self, within: int, name: bytes, path: bytes) -> None:
        if path in self._hidden:  # by a whiteout of the same layer: it is for what lies below
            self._hidden.discard(path)
            self._opaque.add(path)
            os.unlink(name, dir_fd=within)
        os.mkdir(name, 0o700, dir_fd=within)

    # Members

    def _wanted(self, member: Member) -> bool:
        """Whether to make it. Raises if it is not allowed."""
        for id in (member.uid, member.gid):
            self._limit("id", id, member.name)
        if member.type not in ("character", "block"):
            return True
        if member.device == (0, 0) and self._options.whiteouts == "overlay":
            return True
        # 0:0 would be a whiteout, which no archive may make.
        if self._options.devices == "refuse" or member.device == (0, 0):
            raise ImportRefusedError(
                self._source,
                member.name,
                "a device node ({}:{})".format(*member.device),
                todo='import it with devices="skip" to leave these out',
            )
        if self._options.devices == "skip":
            self.skipped.append(member.name)
            return False
        return True

    def _directory(self, within: int, name: bytes, path: bytes, member: Member) -> None:
        if path not in self._directories:
            try:
                self._mkdir(within, name, path)
            except FileExistsError as error:
                raise self._clash(member) from error
        self._directories[path] = member

    def _make(self, within: int, name: bytes, path: bytes, member: Member, read: Read) -> None:
        """Make a name that is not a directory; it replaces an earlier one of the same name."""
        if path in self._directories:
            raise self._clash(member)
        self._hidden.discard(path)
        if member.type == "link":
            self._link(name, path, member)
            return
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=within)
        if member.type == "file":
            self._file(within, name, member, read)
            return
        if member.type == "symlink":
            if not member.target or b"\0" in member.target or len(member.target) > _TARGET:
                raise self._unsafe(member.name, "is that of a link to nothing")
            os.symlink(member.target, name, dir_fd=within)
        else:
            kind = {"fifo": stat.S_IFIFO, "character": stat.S_IFCHR, "block": stat.S_IFBLK}
            device = os.makedev(*member.device)
            os.mknod(name, kind[member.type] | 0o600, device, dir_fd=within)
        os.chown(name, member.uid, member.gid, dir_fd=within, follow_symlinks=False)
        if member.type != "symlink":
            os.chmod(name, member.mode, dir_fd=within)
            # There is no setxattr relative to a descriptor; the magic link stands in for one.
            self._set_xattrs(b"/proc/self/fd/%d/%s" % (within, name), member)
        times = (member.mtime_ns, member.mtime_ns)
        os.utime(name, ns=times, dir_fd=within, follow_symlinks=False)

    def _file(self, within: int, name: bytes, member: Member, read: Read) -> None:
        self.bytes += member.size
        self._limit("bytes", self.bytes, member.name)
        fd = os.open(name, _CREATE, 0o600, dir_fd=within)
        try:
            for offset, length in member.extents:
                at, end = offset, offset + length
                while at < end and (data := read(min(_CHUNK, end - at))):
                    at += os.pwrite(fd, data, at)
            os.truncate(fd, member.size)
            self._dress(fd, member)
            os.utime(fd, ns=(member.mtime_ns, member.mtime_ns))
        finally:
            os.close(fd)

    def _link(self, name: bytes, path: bytes, member: Member) -> None:
        """Make a hard link to an earlier file, which keeps its owner and mode."""
        target = self._safe(member.target, member.name)
        above, _, last = target.rpartition(b"/")
        hidden = target == path or target in self._hidden or above not in self._directories
        if hidden or target in self._directories:
            raise self._bad_target(member)
        there = os.dup(self._enter(above, member.name))
        try:
            os.stat(last, dir_fd=there, follow_symlinks=False)
            within = self._enter(path.rpartition(b"/")[0], member.name)
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=within)
            os.link(last, name, src_dir_fd=there, dst_dir_fd=within, follow_symlinks=False)
        except FileNotFoundError as error:
            raise self._bad_target(member) from error
        finally:
            os.close(there)

    def _mark(self, within: int, above: bytes, name: bytes, member: Member) -> None:
        """Turn a whiteout of OCI into overlayfs's."""
        hidden = name.removeprefix(WHITEOUT)
        if name == OPAQUE_WHITEOUT:
            self._opaque.add(above)
        elif hidden in (b"", b".", b"..") or hidden.startswith(WHITEOUT):
            raise self._unsafe(member.name, "is not that of a whiteout")
        else:
            path = above + b"/" + hidden if above else hidden
            if path in self._directories:  # the layer's own content is above what it hides
                self._opaque.add(path)
                return
            with suppress(FileExistsError):
                os.mknod(hidden, stat.S_IFCHR, 0, dir_fd=within)
                self._hidden.add(path)

    def _dress(self, fd: int, member: Member) -> None:
        """Set the attributes of an open file; the order keeps setuid bits and capabilities."""
        os.fchown(fd, member.uid, member.gid)
        os.fchmod(fd, member.mode)
        self._set_xattrs(fd, member)

    def _set_xattrs(self, where: int | bytes, member: Member) -> None:
        """Set the extended attributes that `lasting` names; overlayfs's own only if allowed."""
        marks = self._options.whiteouts == "overlay"
        for name, value in member.xattrs:
            if lasting(name) and (marks or name != OPAQUE):
                try:
                    os.setxattr(where, name, value, follow_symlinks=isinstance(where, int))
                except OSError as error:
                    raise ImportRefusedError(
                        self._source,
                        member.name,
                        f"the extended attribute {os.fsdecode(name)} cannot be set: "
                        f"{error.strerror}",
                        status=Exit.HOST,
                    ) from error

    def _count(self, name: bytes) -> None:
        self.entries += 1
        self._limit("entries", self.entries, name)

    def _limit(self, limit: str, found: int, name: bytes) -> None:
        allowed: int = getattr(self._limits, limit)
        if found > allowed:
            raise over_limit(self._source, name, limit, found, allowed)

    def _unsafe(self, name: bytes, why: str) -> ImportRefusedError:
        return ImportRefusedError(
            self._source, name, f"the name {why}", todo="do not trust its source"
        )

    def _clash(self, member: Member) -> ImportRefusedError:
        what = "the name comes twice, as a directory and as something else"
        return ImportRefusedError(self._source, member.name, what)

    def _bad_target(self, member: Member) -> ImportRefusedError:
        target = os.fsdecode(member.target)
        what = f"a hard link to {target}, which is not a file of the tree so far"
        return ImportRefusedError(self._source, member.name, what)


def emptied(path: Path) -> None:
    """Remove the content of a directory."""
    fd = open_directory(path)
    try:
        for name in os.listdir(fd):  # noqa: PTH208 - of a descriptor
            remove_at(fd, os.fsencode(name))
    finally:
        os.close(fd)
