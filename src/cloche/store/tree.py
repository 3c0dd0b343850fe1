"""Reading a directory tree exactly.

Trees come from builds and from outside: nothing in them is trusted. Every name is opened relative
to the descriptor of its directory and symbolic links are never followed, so that a tree cannot lead
its reader to a path of the host.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from cloche.store.errors import UnreadableTreeError

OPAQUE = b"user.overlay.opaque"
"""overlayfs's mark for a directory that hides what lies below it (with ``userxattr``)."""

LEVELS = 200
"""How deep a layer may be: each level takes a descriptor and some of Python's stack."""

_SMALL = 256 * 1024  # bytes; below this a thread costs more than it saves
_PENDING = 64  # open files waiting for a thread, well below the usual limit of 1024 descriptors
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOATIME

FILE_TYPES = {
    stat.S_IFDIR: "directory",
    stat.S_IFREG: "file",
    stat.S_IFLNK: "symlink",
    stat.S_IFCHR: "character",
    stat.S_IFBLK: "block",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
}
"""Words for the types of files, by `stat.S_IFMT`."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One name of a tree.

    ``path`` is relative to the tree, b"" for its root. ``type`` is "directory", "file", "symlink",
    "character", "block", "fifo" or "socket". ``mode`` holds the permission bits (0o7777). ``link``
    is the path of the first name, in the order of `walk`, of the same inode, None for that first
    name itself and for files with one name in this tree. ``xattrs`` are sorted, and only those that
    `lasting` names. ``digest`` is the SHA-256 of a file's content. ``blocks`` are bytes on disk,
    and ``names`` is the inode's number of names, those outside of the tree included.
    """

    path: bytes
    type: str
    mode: int
    uid: int
    gid: int
    rdev: int
    size: int
    mtime_ns: int
    blocks: int
    names: int
    inode: tuple[int, int]
    link: bytes | None = None
    xattrs: tuple[tuple[bytes, bytes], ...] = ()
    target: bytes | None = None
    digest: str | None = None

    @property
    def whiteout(self) -> bool:
        """True for overlayfs's mark that a name below is gone: a character device 0:0."""
        return self.type == "character" and self.rdev == 0


def lasting(name: bytes) -> bool:
    """Whether an extended attribute belongs to a tree and not to the host that it lies on.

    ``security.selinux``, ``security.ima`` and their like come and go with the host's kernel, and
    ``trusted.*`` cannot be seen in a user namespace.
    """
    return (
        name.startswith((b"user.", b"system.posix_acl_")) or name == b"security.capability"
    ) and (not name.startswith(b"user.overlay.") or name == OPAQUE)


def read_xattrs(where: int | bytes) -> tuple[tuple[bytes, bytes], ...]:
    """The lasting extended attributes of a descriptor or path (not followed), sorted."""
    follow = isinstance(where, int)
    try:
        names = os.listxattr(where, follow_symlinks=follow)
    except OSError:
        return ()  # the file system has none
    kept = sorted(name for name in map(os.fsencode, names) if lasting(name))
    return tuple((name, os.getxattr(where, name, follow_symlinks=follow)) for name in kept)


def open_directory(name: bytes | Path, within: int | None = None) -> int:
    """Open a directory that is not a symbolic link; the caller closes the descriptor."""
    return os.open(name, _DIRECTORY, dir_fd=within)


def open_file(name: bytes, within: int) -> int:
    """Open a file to read, without following a link, waiting for a FIFO or touching its atime."""
    try:
        return os.open(name, _FILE, dir_fd=within)
    except PermissionError:  # O_NOATIME is for the file's owner only
        return os.open(name, _FILE & ~os.O_NOATIME, dir_fd=within)


def read_file(root: Path, path: bytes) -> bytes:
    """The content of ``path`` below ``root``; no component of it may be a symbolic link.

    Raises OSError (ELOOP or ENOTDIR for a link on the way).
    """
    *directories, name = path.split(b"/")
    with ExitStack() as stack:
        fd = open_directory(root)
        stack.callback(os.close, fd)
        for directory in directories:
            fd = open_directory(directory, fd)
            stack.callback(os.close, fd)
        with open(open_file(name, fd), "rb") as file:
            return file.read()


def _digest(fd: int, size: int) -> str:
    """SHA-256 of an open file, which is closed."""
    with open(fd, "rb", buffering=0) as file:
        if size >= _SMALL:
            return hashlib.file_digest(file, "sha256").hexdigest()
        # file_digest clears 256 KiB of memory for every file, which is most of its time here.
        return hashlib.sha256(file.read()).hexdigest()


def check_depth(root: Path, path: bytes) -> None:
    """Raise `UnreadableTreeError` for a directory beyond `LEVELS`."""
    if path.count(b"/") >= LEVELS:
        raise UnreadableTreeError(
            f"a tree of more than {path.count(b'/')} levels is too deep for a layer",
            where=f"{root}: {os.fsdecode(path)[:200]}…",
            todo="remove that tree before the layer is made, or leave it out (`drop`)",
        )


class _Walker:
    """One walk: descriptors of the open directories, and threads for the large files."""

    def __init__(self, root: Path, pool: ThreadPoolExecutor | None) -> None:
        self.root = root
        self.pool = pool
        self.first: dict[tuple[int, int], bytes] = {}
        self.entries: list[Entry] = []
        self.waiting: list[tuple[int, Future[str]]] = []

    def directory(self, fd: int, path: bytes) -> None:
        """List one directory and what lies below it, names in the order of their bytes."""
        check_depth(self.root, path)
        self.add(path, os.fstat(fd), xattrs=read_xattrs(fd))
        prefix = path + b"/" if path else b""
        for name in sorted(os.fsencode(name) for name in os.listdir(fd)):
            self.name(fd, name, prefix + name)

    def name(self, within: int, name: bytes, path: bytes) -> None:
        """Read one name of the directory ``within``."""
        info = os.stat(name, dir_fd=within, follow_symlinks=False)
        kind = stat.S_IFMT(info.st_mode)
        if kind == stat.S_IFDIR:
            fd = open_directory(name, within)
            try:
                self.directory(fd, path)
            finally:
                os.close(fd)
        elif kind == stat.S_IFREG:
            self.file(within, name, path)
        else:
            # There is no lgetxattr relative to a descriptor; the magic link stands in for one.
            xattrs = read_xattrs(b"/proc/self/fd/%d/%s" % (within, name))
            target = os.readlink(name, dir_fd=within) if kind == stat.S_IFLNK else None
            self.add(path, info, xattrs=xattrs, target=target)

    def file(self, within: int, name: bytes, path: bytes) -> None:
        """Read a regular file; its attributes come from the descriptor that is hashed."""
        fd = open_file(name, within)
        owned = True
        try:
            info = os.fstat(fd)
            if not stat.S_ISREG(info.st_mode):
                raise UnreadableTreeError(
                    f"{os.fsdecode(path)} changed while the tree was being read",
                    where=self.root,
                    todo="see which process writes there",
                )
            self.add(path, info, xattrs=read_xattrs(fd))
            if self.pool is None or self.entries[-1].link is not None:
                return
            owned = False
            if info.st_size < _SMALL:
                self.entries[-1] = replace(self.entries[-1], digest=_digest(fd, info.st_size))
                return
            if len(self.waiting) >= _PENDING:
                self.settle()
            self.waiting.append(
                (len(self.entries) - 1, self.pool.submit(_digest, fd, info.st_size))
            )
        finally:
            if owned:
                os.close(fd)

    def add(
        self,
        path: bytes,
        info: os.stat_result,
        *,
        xattrs: tuple[tuple[bytes, bytes], ...],
        target: bytes | None = None,
    ) -> None:
        """Keep one entry."""
        inode = (info.st_dev, info.st_ino)
        kind = FILE_TYPES[stat.S_IFMT(info.st_mode)]
        link = None
        if kind != "directory" and info.st_nlink > 1:
            first = self.first.setdefault(inode, path)
            link = first if first != path else None
        self.entries.append(
            Entry(
                path=path,
                type=kind,
                # A link's mode means nothing to Linux and differs between file systems.
                mode=0o777 if kind == "symlink" else stat.S_IMODE(info.st_mode),
                uid=info.st_uid,
                gid=info.st_gid,
                rdev=info.st_rdev if kind in ("character", "block") else 0,
                size=info.st_size if kind == "file" else 0,
                mtime_ns=info.st_mtime_ns,
                blocks=info.st_blocks * 512,
                names=info.st_nlink,
                inode=inode,
                link=link,
                xattrs=xattrs,
                target=target,
            )
        )

    def settle(self) -> None:
        """Take in the digests that the threads have made."""
        for place, future in self.waiting:
            self.entries[place] = replace(self.entries[place], digest=future.result())
        self.waiting.clear()

    def linked(self) -> list[Entry]:
        """All entries, the further names of an inode with the digest of its first one."""
        self.settle()
        digests = {entry.path: entry.digest for entry in self.entries if entry.inode in self.first}
        return [
            entry if entry.link is None else replace(entry, digest=digests[entry.link])
            for entry in self.entries
        ]


def walk(root: Path, *, content: bool = True) -> list[Entry]:
    """List a tree, its root first, each directory before its names, names in byte order.

    Without ``content`` files are not read; ``digest`` stays None. Raises OSError, and
    `UnreadableTreeError` where it is too deep, or when a file changes its type in between.
    """
    with ExitStack() as stack:
        pool = None
        if content:
            pool = stack.enter_context(ThreadPoolExecutor(min(8, os.cpu_count() or 1)))
        walker = _Walker(root, pool)
        fd = open_directory(root)
        stack.callback(os.close, fd)
        walker.directory(fd, b"")
        return walker.linked()


def measure(entries: Iterable[Entry]) -> tuple[int, int]:
    """Number of names that are not directories, and bytes of content, each inode once."""
    files = size = 0
    for entry in entries:
        files += entry.type != "directory"
        size += entry.size if entry.link is None else 0
    return files, size


def _field(value: bytes | None) -> bytes:
    """A value with its length before it, so that no two records read alike."""
    return b"-" if value is None else b"%d:%s" % (len(value), value)


@lru_cache(maxsize=4096)
def _number(value: int) -> bytes:
    return _field(b"%d" % value)


_WORDS = {word: _field(word.encode()) for word in FILE_TYPES.values()}


def record(entry: Entry, *extra: int) -> bytes:
    """The canonical text of an entry: all but size, inode and times, which ``extra`` may add."""
    # Made for every name of every tree that is looked at, so no detours.
    return b"".join(
        (
            _field(entry.path),
            _WORDS[entry.type],
            _number(entry.mode),
            _number(entry.uid),
            _number(entry.gid),
            _number(os.major(entry.rdev)),
            _number(os.minor(entry.rdev)),
            _field(entry.link),
            _field(entry.target),
            b"-" if entry.digest is None else b"%d:%s" % (len(entry.digest), entry.digest.encode()),
            _number(len(entry.xattrs)),
            *(_field(part) for pair in entry.xattrs for part in pair),
            *(_number(value) for value in extra),
            b"\n",
        )
    )


def exact_digest(entries: Iterable[Entry]) -> str:
    """SHA-256 of everything that must not change in a stored tree, times of files included.

    Times count in whole seconds, as VDB entries record them and as every file system keeps them;
    those of directories do not count, for some file systems touch them on a rename.
    """
    digest = hashlib.sha256(b"cloche exact 1\n")
    for entry in entries:
        seconds = 0 if entry.type == "directory" else entry.mtime_ns // 1_000_000_000
        digest.update(record(entry, seconds))
    return digest.hexdigest()
