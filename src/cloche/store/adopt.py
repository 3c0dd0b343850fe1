"""Giving a store to a user: each file to the id that stands for its owner in that user's map.

For root, who alone may do this. Which map a tree was made with is decided by its content: with the
right one its exact digest is the one in the index. Trees that two users have mixed (root's parts of
a user's seed, which are hard links) are decided file by file; those that are not whole then are
struck out, as `verify` would, and made again when they are needed.
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from cloche.store.errors import UnreadableTreeError
from cloche.store.identity import FILE, own_index, read_identity, write_identity
from cloche.store.locks import held, release
from cloche.store.owner import PROBE, ROOT, IdMap, Owner
from cloche.store.records import Tree
from cloche.store.store import Waiting, occupy_as_it_is
from cloche.store.tree import Entry, exact_digest, walk

_ROOT = Owner(ROOT, ROOT)
_CAPABILITY = b"security.capability"


@dataclass(frozen=True, slots=True)
class AdoptReport:
    """What `adopt` changed: how many ``files`` have another owner, and the ids of their ``trees``.

    ``dropped`` are those that were not whole then, ``unreadable`` paths that could not be read.
    """

    owner: str
    files: int
    trees: tuple[str, ...]
    dropped: tuple[str, ...]
    unreadable: tuple[str, ...]


def adopt(
    path: Path, owner: Owner, *, dry_run: bool = False, waiting: Waiting | None = None
) -> AdoptReport:
    """Give a store to a user. Raises what `Store.open` raises except for its owner, and OSError.

    Nobody else may use the store; see `Store.open` for ``waiting``.
    """
    path = Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow a user's links
    fd = occupy_as_it_is(path, waiting)
    try:
        with held(path / "locks" / "setup"):
            return _Adoption(path, owner, dry_run).run()
    finally:
        release(fd)


class _Adoption:
    def __init__(self, path: Path, owner: Owner, dry_run: bool) -> None:
        self._path = path
        self._owner = owner
        self._dry_run = dry_run
        identity = read_identity(path)
        recorded = identity.owner if identity else None
        # The order counts: root's own map knows most ids of the others, as something else.
        self._maps = [each for each in (recorded, owner, _ROOT) if each is not None]
        self._given: dict[tuple[int, int], tuple[int, int]] = {}  # by inode: its ids from now on
        self._files = 0
        self._unreadable: list[str] = []

    def run(self) -> AdoptReport:
        index = own_index(self._path, settle=False)
        try:
            trees = index.trees(self._path / "layers")
            # Inodes are shared; each is what it is in the tree that is oldest in this order.
            plan = sorted(self._decided(trees), key=lambda each: each[2])
            changed = {
                tree.id: entries
                for tree, entries, made in plan
                if self._give_tree(tree.path, entries, self._maps[made : made + 1])
            }
            for place in self._others({tree.path for tree in trees}):
                self._give_all(place)
            exact = {tree.id: tree.exact for tree in trees}
            dropped = tuple(
                sorted(id for id, entries in changed.items() if self._after(entries) != exact[id])
            )
            if not self._dry_run:
                index.strike(trees=dropped)  # the owner's next command removes them
                self._write(index.store)
        finally:
            index.close()
        return AdoptReport(
            self._owner.name, self._files, tuple(sorted(changed)), dropped, tuple(self._unreadable)
        )

    def _write(self, id: str) -> None:
        probe = (self._owner.uids.outside(PROBE), self._owner.gids.outside(PROBE))
        write_identity(self._path, id, self._owner, probe)
        for path in [*self._path.glob("index.sqlite*"), *(self._path / "locks").iterdir()]:
            self._give_all(path)  # what was made since

    def _decided(self, trees: Iterable[Tree]) -> Iterator[tuple[Tree, list[Entry], int]]:
        """Each tree with the number of the map that it was made with; one more where none was."""
        for tree in trees:
            try:
                entries = walk(tree.path)
            except (OSError, UnreadableTreeError):
                self._unreadable.append(str(tree.path))
                continue
            digests = [_digest(entries, each) for each in self._maps]
            made = digests.index(tree.exact) if tree.exact in digests else len(digests)
            yield tree, entries, made

    def _after(self, entries: Iterable[Entry]) -> str:
        """The exact digest of a tree in the new owner's eyes, once all is given."""
        given = ((entry, self._given[entry.inode]) for entry in entries)
        now = (replace(entry, uid=uid, gid=gid) for entry, (uid, gid) in given)
        return _digest(now, self._owner)

    def _others(self, trees: set[Path]) -> Iterator[Path]:
        """All but the trees that are decided by content."""
        for place in sorted(self._path.iterdir()):
            if place.name == "layers":
                yield from (each for each in place.iterdir() if each not in trees)
            elif place.name != FILE:
                yield place
        self._give_one(self._path)
        self._give_one(self._path / "layers")

    def _give_all(self, place: Path) -> None:
        """A file, or a directory with all in it, file by file."""
        try:
            if stat.S_ISDIR(place.lstat().st_mode):
                self._give_tree(place, walk(place, content=False), ())
            else:
                self._give_one(place)
        except FileNotFoundError:
            return
        except (OSError, UnreadableTreeError):
            self._unreadable.append(str(place))

    def _give_one(self, place: Path) -> None:
        info = place.lstat()
        inode = (info.st_dev, info.st_ino)
        self._give(os.fsencode(place), inode, (info.st_uid, info.st_gid), ())

    def _give_tree(self, place: Path, entries: Iterable[Entry], made: Sequence[Owner]) -> bool:
        """Give a tree that was made with these maps, any for none; says whether that changed it."""
        before, top = self._files, os.fsencode(place)
        for entry in entries:
            path = top + b"/" + entry.path if entry.path else top
            self._give(path, entry.inode, (entry.uid, entry.gid), made)
        return self._files > before or any(
            self._given[entry.inode] != (entry.uid, entry.gid) for entry in entries
        )

    def _give(
        self, path: bytes, inode: tuple[int, int], ids: tuple[int, int], made: Sequence[Owner]
    ) -> None:
        if inode in self._given:
            return
        maps = made or self._maps
        target = (
            _moved(ids[0], self._owner.uids, [each.uids for each in maps]),
            _moved(ids[1], self._owner.gids, [each.gids for each in maps]),
        )
        self._given[inode] = target
        if target != ids:
            self._files += 1
            if not self._dry_run:
                _chown(path, target, self._owner.uids.own)


def _digest(entries: Iterable[Entry], owner: Owner) -> str:
    """The exact digest of a tree in the eyes of a user."""
    return exact_digest(
        replace(
            entry,
            uid=_seen(entry.uid, owner.uids),
            gid=_seen(entry.gid, owner.gids),
            xattrs=tuple((name, _plain(name, value)) for name, value in entry.xattrs),
        )
        for entry in entries
    )


def _plain(name: bytes, value: bytes) -> bytes:
    """An attribute as the user sees it to whom it belongs."""
    return _capability_of(value, 0) if name == _CAPABILITY else value


def _seen(id: int, ids: IdMap) -> int:
    inside = ids.inside(id)
    return 65534 if inside is None else inside


def _moved(id: int, target: IdMap, made: Iterable[IdMap]) -> int:
    """The id that stands in the target's map for what it was in the first map that knows it."""
    for ids in made:
        inside = ids.inside(id)
        if inside is not None:
            return target.outside(inside)
    return id


def _chown(path: bytes, target: tuple[int, int], own: int) -> None:
    """Change the owner; what chown(2) takes away, setuid and capabilities, is given back."""
    mode = os.lstat(path).st_mode
    capability = None
    with suppress(OSError):
        capability = os.getxattr(path, _CAPABILITY, follow_symlinks=False)
    os.chown(path, *target, follow_symlinks=False)
    if not stat.S_ISLNK(mode):
        os.chmod(path, stat.S_IMODE(mode))  # noqa: PTH101 - names are bytes
    if capability is not None:
        os.setxattr(path, _CAPABILITY, _capability_of(capability, own), follow_symlinks=False)


def _capability_of(value: bytes, own: int) -> bytes:
    """File capabilities for the user namespace whose root is ``own``; see capabilities(7).

    Those of the host's root are of version 2, others of version 3, which ends with root's uid.
    """
    magic = struct.unpack_from("<I", value)[0]
    effective, body = magic & 0xFF, value[4:20]
    if own == 0:
        return struct.pack("<I", 0x02000000 | effective) + body
    return struct.pack("<I", 0x03000000 | effective) + body + struct.pack("<I", own)
