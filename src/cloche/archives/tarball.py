"""Imports a layer from an untrusted tarball or directory."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from cloche.archives.decompression import unpacked
from cloche.archives.extraction import Extractor, ImportOptions, emptied
from cloche.archives.tarformat import Extents, Member, Read, TarReader, nothing
from cloche.layers.copying import extents
from cloche.layers.merge import Merged, Node, open_node
from cloche.linux.paths import make_plain
from cloche.store.tree import FILE_TYPES, read_xattrs

_TRAILER = 1 << 20  # bytes of padding that may follow the end of an archive
_DEFAULT = ImportOptions()


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What was made: names, bytes of content, and the device nodes that were left out."""

    entries: int
    bytes: int
    skipped: tuple[str, ...]


def import_tarball(
    path: Path, destination: Path, options: ImportOptions = _DEFAULT
) -> ImportReport:
    """Make a layer from a tarball in ``destination``, which is missing or empty.

    The tarball is plain, or compressed with gzip, bzip2, xz or zstd. Owners are numeric; of
    extended attributes, capabilities, ACLs and ``user.*`` are kept. Of a repeated name the last
    member counts. No tarball can change anything outside of ``destination``, which is left empty if
    the tarball is refused. Call it as uid 0, also of a user namespace (`sandbox.userns`). Raises
    `ImportRefusedError` and OSError.
    """

    def fill(extractor: Extractor) -> None:
        for member, read in members(path, options.limits.metadata):
            extractor.extract(member, read)

    return _extracted(path, destination, options, fill)


def members(path: Path, metadata: int) -> Iterator[tuple[Member, Read]]:
    """The members of a tarball, each with what reads its content before the next one is taken.

    ``metadata``: bytes that may describe one member. Raises `ImportRefusedError` and OSError.
    """
    with unpacked(path) as stream:
        reader = TarReader(stream, path, metadata)
        for member in reader:
            yield member, reader.read
        left = _TRAILER  # to the end, where compressed files have their checksums
        while left > 0 and (data := stream.read(left)):
            left -= len(data)


def import_directory(
    source: Path, destination: Path, options: ImportOptions = _DEFAULT
) -> ImportReport:
    """Copy a directory to a layer in ``destination``, which is missing or empty.

    As `import_tarball`. Links are not followed; the directory must not change during the copy.
    Whiteouts of overlayfs and sockets are left out.
    """

    def fill(extractor: Extractor) -> None:
        first: dict[tuple[int, int], bytes] = {}
        for node in _chosen(Merged([source]), options):
            _extract_node(extractor, node, first)

    return _extracted(source, destination, options, fill)


def _chosen(tree: Merged, options: ImportOptions) -> Iterator[Node]:
    """All names of a tree that the options allow."""
    if tree.root is None:
        return
    waiting = [tree.root]
    while waiting:
        node = waiting.pop()
        foreign = options.one_file_system and node.info.st_dev != tree.root.info.st_dev
        if foreign or node.path in options.emptied:
            if node.is_directory:
                yield node
            continue
        yield node
        if node.is_directory:
            waiting += reversed(tree.children(node))


def _extracted(
    source: Path, destination: Path, options: ImportOptions, fill: Callable[[Extractor], None]
) -> ImportReport:
    destination.mkdir(exist_ok=True)
    if any(destination.iterdir()):
        raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY), str(destination))
    make_plain(destination)
    extractor = Extractor(destination, source, options)
    try:
        fill(extractor)
        extractor.finish()
    except BaseException:
        emptied(destination)
        raise
    finally:
        extractor.close()
    return ImportReport(extractor.entries, extractor.bytes, _texts(extractor.skipped))


def _extract_node(extractor: Extractor, node: Node, first: dict[tuple[int, int], bytes]) -> None:
    """Extract one name of a directory as if it came from an archive."""
    info = node.info
    kind = FILE_TYPES[stat.S_IFMT(info.st_mode)]
    inode = (info.st_dev, info.st_ino)
    if kind == "socket":
        return
    target = os.readlink(node.origin) if kind == "symlink" else b""  # noqa: PTH115 - bytes
    if kind != "directory" and first.setdefault(inode, node.path) != node.path:
        kind, target = "link", first[inode]
    member = member_of(node, kind, target)
    if kind != "file":
        extractor.extract(member, nothing)
        return
    with open_node(node) as file:
        data = tuple(extents(file.fileno()))
        extractor.extract(replace(member, extents=data), _reader(file.fileno(), data))


def member_of(node: Node, kind: str, target: bytes = b"") -> Member:
    """A name of a directory as an archive has it, but for the extents of a file."""
    info = node.info
    device = (os.major(info.st_rdev), os.minor(info.st_rdev))
    return Member(
        name=node.path or b".",
        type=kind,
        mode=stat.S_IMODE(info.st_mode),
        uid=info.st_uid,
        gid=info.st_gid,
        mtime_ns=info.st_mtime_ns,
        size=info.st_size if kind == "file" else 0,
        target=target,
        device=device if kind in ("character", "block") else (0, 0),
        xattrs=read_xattrs(node.origin) if kind not in ("symlink", "link") else (),
    )


def _reader(fd: int, data: Extents) -> Read:
    """Reads the extents of a file, one after the other."""
    ranges = [list(extent) for extent in reversed(data)]

    def read(size: int) -> bytes:
        offset, length = ranges[-1]
        found = os.pread(fd, min(size, length), offset)
        ranges[-1] = [offset + len(found), length - len(found)]
        if not ranges[-1][1]:
            ranges.pop()
        return found

    return read


def _texts(names: Iterable[bytes]) -> tuple[str, ...]:
    return tuple(map(os.fsdecode, names))
