"""A tree that equals a target's root: composed of files that the store has, and of the rest.

A file is taken without a copy from the root as it was composed last, if it was not changed since,
or from any layer that has its content; only what is left travels. The tree becomes a layer, known
by the digest of the listing, so that a target that did not change costs one listing.
"""

# Names are bytes here, which pathlib does not know.
# ruff: noqa: PTH101, PTH102, PTH104, PTH211

from __future__ import annotations

import errno
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cloche.errors import ClocheError, Exit
from cloche.layers import Layer, commit, stored_layer
from cloche.layers.copying import copy_content
from cloche.linux.paths import make_plain
from cloche.seeds.parts.contents import Names
from cloche.store import Entry, Outcome, Store, make_key, remember
from cloche.store.tree import read_file, read_xattrs
from cloche.targets.connection import Connection
from cloche.targets.known_files import digests_of, known_files, vdb_files
from cloche.targets.listing import Listing, decode_listing
from cloche.targets.remote import fetch

KIND = "target-root"
PINS = "target/"
_CHECKED = 1  # raise it when equal listings are to give another tree


@dataclass(frozen=True, slots=True)
class Clone:
    """A target's root as a layer, and how it was made.

    ``names`` counts all of it, ``kept`` the files that the store had, ``fetched`` those that
    travelled, with ``bytes`` of content; ``anew`` says whether it had to be made.
    """

    layer: Layer
    listing: str
    anew: bool
    names: int = 0
    kept: int = 0
    fetched: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class Before:
    """A root as it was composed before: its tree, and the listing that it was made of."""

    tree: Path
    listing: Listing


def clone(store: Store, connection: Connection, packed: bytes, listing: Listing) -> Clone:
    """The layer that equals a target's root; ``packed`` is its listing as it came.

    Raises ClocheError, OSError.
    """
    name = str(connection.address)
    key = make_key(KIND, {"listing": listing.digest, "target": name, "format": str(_CHECKED)})
    made: list[Composed] = []

    def make() -> Outcome:
        with store.workspace("target") as room:
            made.append(compose(store, connection, listing, room, _before(store, name)))
            layer = commit(store, room / "tree", kind=KIND, label=name, rules={})
            (room / "listing").write_bytes(packed)
            blob = store.add_blob(room / "listing", f"listing of {name}")
        store.pin(PINS + name, [layer.id], [blob.id], {"listing": listing.digest})
        return Outcome({"tree": layer.id, "listing": blob.id})

    done = remember(store, key, name, make)
    layer = stored_layer(store, done.action.outputs["tree"])
    if not made:
        return Clone(layer, listing.digest, anew=False, names=len(listing.entries))
    (by,) = made
    return Clone(
        layer,
        listing.digest,
        anew=True,
        names=len(listing.entries),
        kept=by.kept,
        fetched=len(by.fetched),
        bytes=sum(by.fetched.values()),
    )


def _before(store: Store, name: str) -> Before | None:
    """The root of a target as it was composed last, if it is still there."""
    last = store.last_action(KIND, name)
    if last is None or not all(map(store.has, last.outputs.values())):
        return None
    packed = store.blob(last.outputs["listing"]).path.read_bytes()
    return Before(store.tree(last.outputs["tree"]).path, decode_listing(packed, name))


@dataclass(slots=True)
class Composed:
    """What a tree was made of: files that were there, and the sizes of those that were fetched."""

    kept: int = 0
    fetched: dict[bytes, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the content of files is: in the store, fetched, or in memory, by their names."""

    stored: Mapping[bytes, bytes]
    fetched: Mapping[bytes, Path]
    written: Mapping[bytes, bytes]


def compose(
    store: Store, connection: Connection, listing: Listing, room: Path, before: Before | None
) -> Composed:
    """Make the tree of a listing at ``room``/tree. Raises ClocheError, OSError."""
    files = {n: e for n, e in listing.entries.items() if e.type == "file" and e.link is None}
    written = {name: listing.contents.get(name, b"") for name, e in files.items() if not e.size}
    written |= {name: content for name, content in listing.contents.items() if name in files}
    stored = _unchanged(listing, files, before) if before else {}

    def left(names: Sequence[bytes]) -> list[Entry]:
        return [files[n] for n in names if not (n in stored or n in written or n in fetched)]

    fetched: dict[bytes, Path] = {}
    of_vdb = left(list(vdb_files(files)))
    fetched.update(fetch(connection, of_vdb, room / "vdb"))
    stored |= _owned(store, listing, Sources(stored, fetched, written), left(list(files)))
    fetched.update(fetch(connection, left(list(files)), room / "files"))
    _Tree(listing, Sources(stored, fetched, written), connection.address).make(room / "tree")
    return Composed(len(stored), {name: files[name].size for name in fetched})


def _unchanged(
    listing: Listing, files: Mapping[bytes, Entry], before: Before
) -> dict[bytes, bytes]:
    """Files that were not written since a root was composed, with their places there."""
    tree, old = os.fsencode(before.tree), before.listing
    return {
        name: tree + b"/" + name
        for name, entry in files.items()
        if name in old.stamps
        and old.stamps[name] == listing.stamps.get(name)
        and name not in old.contents
        and (was := old.entries[name]).size == entry.size
        and was.mtime_ns == entry.mtime_ns
    }


def _owned(
    store: Store, listing: Listing, sources: Sources, wanted: Sequence[Entry]
) -> dict[bytes, bytes]:
    """Files of packages that some layer has, too, with their places there."""
    names = Names(listing.entries.values())
    contents = {
        name: _content(sources, name)
        for name in vdb_files(listing.entries)
        if name.endswith(b"/CONTENTS") and listing.entries[name].type == "file"
    }
    seconds = {entry.path: entry.mtime_ns // 10**9 for entry in wanted}
    digests = digests_of(names, contents, seconds)
    sizes = {(digest, listing.entries[name].size) for name, digest in digests.items()}
    known = known_files(store, sizes)
    return {name: known[digest] for name, digest in digests.items() if digest in known}


def _content(sources: Sources, name: bytes) -> bytes:
    if name in sources.written:
        return sources.written[name]
    if name in sources.fetched:
        return sources.fetched[name].read_bytes()
    place = sources.stored.get(name)
    if place is None:  # a further name of another file
        return b""
    above, _, last = place.rpartition(b"/")
    return read_file(Path(os.fsdecode(above)), last)


class _Tree:
    """Makes a tree of a listing. Each directory was made here, so no name leads out of it."""

    def __init__(self, listing: Listing, sources: Sources, where: object) -> None:
        self._listing, self._sources, self._where = listing, sources, where
        self._used: set[tuple[int, int]] = set()  # two files must not become one

    def make(self, tree: Path) -> None:
        """Make it in a missing directory."""
        top = os.fsencode(tree)
        entries = self._listing.entries
        tree.mkdir()
        make_plain(tree, 0o700)
        for name, entry in entries.items():
            place = top + b"/" + name
            if entry.type == "directory":
                if name:
                    os.mkdir(place, 0o700)
            elif entry.link is not None:
                os.link(top + b"/" + entry.link, place, follow_symlinks=False)
            elif entry.type == "symlink":
                os.symlink(entry.target or b"", place)
                self._dress(entry, place)
            else:
                self._file(entry, place)
        for name in sorted((n for n, e in entries.items() if e.type == "directory"), reverse=True):
            self._dress(entries[name], top + b"/" + name if name else top)

    def _file(self, entry: Entry, place: bytes) -> None:
        stored = self._sources.stored.get(entry.path)
        if stored is not None and self._linked(entry, stored, place):
            return
        if entry.path in self._sources.fetched:
            os.rename(self._sources.fetched[entry.path], place)
        else:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            fd = os.open(place, flags, 0o600)
            try:
                if stored is not None:
                    source = os.open(stored, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
                    try:
                        copy_content(source, fd)
                    finally:
                        os.close(source)
                else:
                    os.write(fd, self._sources.written[entry.path])
            finally:
                os.close(fd)
        self._dress(entry, place)

    def _linked(self, entry: Entry, stored: bytes, place: bytes) -> bool:
        """Give a file of the store another name, if all of its attributes are the target's."""
        info = os.lstat(stored)
        inode = (info.st_dev, info.st_ino)
        own = (entry.mode, entry.uid, entry.gid, entry.mtime_ns // 10**9)
        has = (info.st_mode & 0o7777, info.st_uid, info.st_gid, info.st_mtime_ns // 10**9)
        if own != has or inode in self._used or read_xattrs(stored) != entry.xattrs:
            return False
        try:
            os.link(stored, place, follow_symlinks=False)
        except OSError as error:
            if error.errno not in (errno.EMLINK, errno.EXDEV, errno.EPERM):
                raise
            return False
        self._used.add(inode)
        return True

    def _dress(self, entry: Entry, place: bytes) -> None:
        """Set owner, mode, attributes and time, in the order that keeps them."""
        os.chown(place, entry.uid, entry.gid, follow_symlinks=False)
        if entry.type != "symlink":
            os.chmod(place, entry.mode)
        for name, value in entry.xattrs:
            try:
                os.setxattr(place, name, value, follow_symlinks=False)
            except OSError as error:
                what = f"the attribute {os.fsdecode(name)} of /{os.fsdecode(entry.path)}"
                raise ClocheError(
                    f"{what} cannot be set in the store: {error.strerror}",
                    where=self._where,
                    status=Exit.HOST,
                ) from error
        os.utime(place, ns=(entry.mtime_ns, entry.mtime_ns), follow_symlinks=False)
