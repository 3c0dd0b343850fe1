"""Trees as one stream of bytes.

Tar would need OCI's names for whiteouts, and has no form for a tree's id. Here a record is its
length (4 bytes, the highest first) and a value in MessagePack: a `Head` begins a tree, and a `Name`
is followed by the content of its extents. Names go through the same checks as those of a tarball.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Annotated, Literal, cast

import msgspec

from cloche.archives.extraction import Extractor, ImportOptions, Limits
from cloche.archives.tarformat import Member
from cloche.cluster.errors import TransferError
from cloche.decoding import NOT_DECODABLE
from cloche.layers.copying import extents
from cloche.layers.layer import possible_ids
from cloche.store import Entry, Store, Tree, exact_digest, measure, walk
from cloche.store.tree import LEVELS, open_file

_CHUNK = 1 << 20  # bytes
_LONGEST = 1 << 22  # bytes of a record; extended attributes are the largest part
_LIMITS = Limits(path=4096, depth=LEVELS, metadata=_LONGEST)
_OPTIONS = ImportOptions(_LIMITS, devices="make", whiteouts="overlay")

Read = Callable[[int], bytes]
"""Reads exactly that many bytes. Raises TransferError."""


Type = Literal["file", "directory", "symlink", "link", "character", "block", "fifo"]
Number = Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]
Id = Annotated[int, msgspec.Meta(ge=0, le=65_535)]


class Head(msgspec.Struct, frozen=True, array_like=True, tag_field="record", tag="tree"):
    """A tree begins. ``exact`` is its exact digest, ``names`` how many names follow."""

    id: str
    kind: str
    label: str
    exact: str
    names: int


class Name(msgspec.Struct, frozen=True, array_like=True, tag_field="record", tag="name"):
    """As `cloche.archives.tarformat.Member`."""

    name: bytes
    type: Type
    mode: Annotated[int, msgspec.Meta(ge=0, le=0o7777)]
    uid: Id
    gid: Id
    mtime_ns: int
    size: Number = 0
    target: bytes = b""
    device: tuple[Number, Number] = (0, 0)
    extents: tuple[tuple[Number, Number], ...] = ()
    xattrs: tuple[tuple[bytes, bytes], ...] = ()


def pack(trees: Iterable[Tree]) -> Iterator[bytes]:
    """The stream of some trees, the same bytes each time. Raises OSError."""
    for tree in trees:
        entries = walk(tree.path, content=False)
        yield _record(Head(tree.id, tree.kind, tree.label, tree.exact, len(entries)))
        for entry in entries:
            yield from _packed(tree.path, entry)


def _packed(root: Path, entry: Entry) -> Iterator[bytes]:
    if entry.type != "file" or entry.link is not None or not entry.size:
        yield _record(_name(entry, ()))
        return
    directory = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with open(open_file(entry.path, directory), "rb", buffering=0) as file:
            data = tuple(extents(file.fileno()))
            yield _record(_name(entry, data))
            for offset, length in data:
                for at in range(offset, offset + length, _CHUNK):
                    yield os.pread(file.fileno(), min(_CHUNK, offset + length - at), at)
    finally:
        os.close(directory)


def _name(entry: Entry, data: tuple[tuple[int, int], ...]) -> Name:
    return Name(
        name=entry.path or b".",
        type=cast(Type, entry.type if entry.link is None else "link"),
        mode=entry.mode,
        uid=entry.uid,
        gid=entry.gid,
        mtime_ns=entry.mtime_ns,
        size=entry.size,
        target=entry.link or entry.target or b"",
        device=(os.major(entry.rdev), os.minor(entry.rdev)),
        extents=data,
        xattrs=entry.xattrs,
    )


def _record(value: Head | Name) -> bytes:
    text = msgspec.msgpack.encode(value)
    return len(text).to_bytes(4, "big") + text


def unpack(read: Read, ids: Iterable[str], store: Store, room: Path) -> list[tuple[Path, Tree]]:
    """Make the trees with these ids, in their order, in directories below ``room``.

    They are read again: raises TransferError for a tree that is not what its id says, and
    `ImportRefusedError` for names that no tree has.
    """
    made = []
    for number, id in enumerate(ids):
        head = _next(read)
        if not isinstance(head, Head) or head.id != id:
            raise TransferError(f"another tree than {id[:16]} was sent")
        place = room / f"tree-{number}"
        place.mkdir()
        _extract(read, head, place)
        made.append((place, _verified(place, head, store)))
    return made


def _next(read: Read) -> Head | Name:
    length = int.from_bytes(read(4), "big")
    if length > _LONGEST:
        raise TransferError(f"a record of {length} bytes was sent")
    try:
        value: Head | Name = msgspec.msgpack.decode(read(length), type=Head | Name)
    except NOT_DECODABLE as error:
        raise TransferError(f"a malformed record was sent: {error}") from error
    return value


def _extract(read: Read, head: Head, place: Path) -> None:
    extractor = Extractor(place, Path(head.id), _OPTIONS)
    try:
        for _ in range(head.names):
            name = _next(read)
            if not isinstance(name, Name):
                raise TransferError("a tree ended early")
            member = Member(**msgspec.structs.asdict(name))
            extractor.extract(member, read)
        extractor.finish()
    except (OverflowError, ValueError) as error:  # numbers that the kernel does not have
        raise TransferError(f"a malformed name was sent: {error}") from error
    finally:
        extractor.close()


def _verified(place: Path, head: Head, store: Store) -> Tree:
    entries = walk(place)
    if exact_digest(entries) != head.exact or head.id not in possible_ids(place, entries):
        raise TransferError(f"layer {head.id[:16]} is not what its id says")
    files, size = measure(entries)
    where = store.layers / head.id
    return Tree(head.id, head.kind, head.label, head.exact, files, size, time.time(), where)
