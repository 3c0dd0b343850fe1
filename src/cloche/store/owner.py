"""Whose a store is: one user's, with one map of ids, which the owner of a file in it shows.

Trees hold files of many owners, and what they are depends on who looks: uid 250 of a layer is the
host's 250 for root, and one of the subordinate ids for an ordinary user. The file ``identity``
belongs to id 1 of the map with which the store was made. Whoever sees another owner there (another
user, root, the same user with another range of subordinate ids, a copy that lost its owners) would
see other layers and leave files that nobody else can remove.
"""

from __future__ import annotations

import os
import pwd
from dataclasses import dataclass
from pathlib import Path

from cloche.store.errors import foreign_store

PROBE = 1
"""The id to which the file ``identity`` belongs: the first subordinate one."""
_NOBODY = 65534  # what ids without a mapping look like; see user_namespaces(7)
IDS = 65536


@dataclass(frozen=True, slots=True)
class IdMap:
    """Where the ids 0…65535 of a store are on the host: 0 is ``own``, 1 ``start``, and so on."""

    own: int
    start: int

    def outside(self, inside: int) -> int:
        """The host's id."""
        return self.own if inside == 0 else self.start + inside - 1

    def inside(self, outside: int) -> int | None:
        """The store's id, None where the host's id is not in the map."""
        if outside == self.own:
            return 0
        inside = outside - self.start + 1
        return inside if 0 < inside < IDS else None


ROOT = IdMap(0, 1)


@dataclass(frozen=True, slots=True)
class Owner:
    """The maps of a store's user: of uids and of gids."""

    uids: IdMap
    gids: IdMap

    @property
    def name(self) -> str:
        """The user, for people."""
        return name_of(self.uids.own)


def current() -> Owner:
    """The maps of this process. Raises OSError."""
    return Owner(*(_read(Path("/proc/self") / name) for name in ("uid_map", "gid_map")))


def _read(file: Path) -> IdMap:
    """See user_namespaces(7): lines of first id inside, first id outside, count."""
    lines = [tuple(map(int, line.split())) for line in file.read_text().splitlines()]
    return IdMap(*(_outside(lines, inside) for inside in (0, 1)))


def _outside(lines: list[tuple[int, ...]], inside: int) -> int:
    for first, outside, count in lines:
        if first <= inside < first + count:
            return outside + inside - first
    return _NOBODY


def name_of(uid: int) -> str:
    """A user's name, or the number."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def check_place(path: Path) -> None:
    """Look at the place of a store before anything is written there.

    Raises `StoreError` for another user's directory, and for a new one that root would
    make in a user's home, where that user could neither use nor remove it.
    """
    place = path
    while not os.path.lexists(place):
        place = place.parent
    owner = place.stat().st_uid
    if owner == os.geteuid():
        return
    if place == path:
        raise foreign_store(path, _outside_name(owner))
    if owner != _NOBODY and _is_home(place, owner):
        raise foreign_store(path, name_of(owner))


def _outside_name(uid: int) -> str:
    """Whose a file is; a user namespace shows only its own ids."""
    return "another user" if uid == _NOBODY else name_of(uid)


def _is_home(place: Path, uid: int) -> bool:
    try:
        home = Path(pwd.getpwuid(uid).pw_dir)
    except KeyError:
        return False
    return home != Path("/") and place.resolve().is_relative_to(home)
