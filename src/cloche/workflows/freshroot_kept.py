"""Freshroots that are kept: their tops lie in the store, under a name in the project.

A top belongs to the layers that it was opened over: they are pinned, and a machine that is built
again does not move it. One process at a time has a kept root open, by a lock on its directory.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from cloche.config.atoms import is_name
from cloche.config.errors import nearest
from cloche.config.project import Project
from cloche.decoding import NOT_DECODABLE
from cloche.errors import ClocheError, Exit
from cloche.layers import Layer, stored_layer
from cloche.store import Store, names, remove_tree
from cloche.tasks.worker import make_directory

COMMANDS: Final = ("answer", "diff", "list", "open", "rm", "save")
_ABOUT: Final = "about.json"


@dataclass(frozen=True, slots=True)
class About:
    """What a kept root stands on: the name of its ground, the layers below its top, when made."""

    ground: str
    bottom: tuple[str, ...]
    layers: tuple[str, ...]
    made: float


@dataclass(frozen=True, slots=True)
class Kept:
    """A kept root: its directory, in which ``top`` is what was written."""

    name: str
    place: Path
    about: About

    @property
    def top(self) -> Path:
        """What was written."""
        return self.place / "root/top"


def check_name(project: Project, name: str) -> None:
    """See that a root can be kept under a name. Raises ClocheError."""
    taken = {
        **dict.fromkeys(project.machines, "a machine"),
        **dict.fromkeys(project.seeds, "a seed"),
        **dict.fromkeys(COMMANDS, "a command of `cloche freshroot`"),
    }
    if name in taken:
        what = f"“{name}” is {taken[name]}"
        raise ClocheError(what, where="--keep", todo="keep the root under another name")
    if not is_name(name):
        what = f"“{name}” is not a name for a freshroot"
        raise ClocheError(what, where="--keep", todo="use letters, digits, _ . + -")


def place_of(store: Store, project: Project, name: str) -> Path:
    """Where a root of this name lies."""
    return store.freshroots / f"{project.place}@{name}"


def kept(store: Store, project: Project) -> tuple[Kept, ...]:
    """All kept roots of a project, by name."""
    prefix = f"{project.place}@"
    there = (path.name.removeprefix(prefix) for path in store.freshroots.glob(f"{prefix}*"))
    found = (find(store, project, name) for name in sorted(there))
    return tuple(each for each in found if each is not None)


def find(store: Store, project: Project, name: str) -> Kept | None:
    """The kept root of a name, if there is one. Raises ClocheError if it is damaged."""
    place = place_of(store, project, name)
    if not is_name(name) or not place.is_dir():
        return None
    try:
        about = msgspec.json.decode((place / _ABOUT).read_bytes(), type=About)
    except (OSError, *NOT_DECODABLE) as error:
        todo = f"remove it: `cloche freshroot rm {name}`"
        raise ClocheError(
            "its description is damaged", where=place, todo=todo, status=Exit.FAILED
        ) from error
    return Kept(name, place, about)


def known(store: Store, project: Project, name: str) -> Kept:
    """The kept root of a name. Raises ClocheError if there is none."""
    found = find(store, project, name)
    if found is not None:
        return found
    there = [each.name for each in kept(store, project)]
    close = nearest(name, there)
    todo = f"did you mean “{close}”?" if close else f"there are {', '.join(there) or 'none'}"
    raise ClocheError(f"no freshroot is kept as “{name}”", where=project.root, todo=todo)


def keep(store: Store, project: Project, name: str, about: About) -> Kept:
    """Make a root that is kept, still empty. Raises ClocheError if the name is taken."""
    check_name(project, name)
    place = place_of(store, project, name)
    with store.lock(f"freshroot-{place.name}"):
        if place.exists():
            todo = f"open it: `cloche freshroot {name}`, or remove it: `cloche freshroot rm {name}`"
            raise ClocheError("a freshroot is kept under this name", where=name, todo=todo)
        below = sorted({*about.bottom, *about.layers})
        store.pin(names.freshroot(store.path, place), below, [], {})
        place.mkdir(mode=0o700)
        make_directory(place, "root")
        (place / _ABOUT).write_bytes(msgspec.json.encode(about))
    return Kept(name, place, about)


def about_now(ground: str, bottom: list[Layer], layers: list[Layer]) -> About:
    """The description of a root that is opened now."""
    below, over = (tuple(each.id for each in some) for some in (bottom, layers))
    return About(ground, below, over, made=time.time())


def layers_of(store: Store, about: About) -> tuple[list[Layer], list[Layer]]:
    """The layers below a kept root's top: the base, and what lies over it. Raises StoreError."""
    bottom = [stored_layer(store, id) for id in about.bottom]
    return bottom, [stored_layer(store, id) for id in about.layers]


@contextmanager
def alone(store: Store, place: Path) -> Iterator[None]:
    """Hold a kept root exclusively. Raises ClocheError if another process has it open."""
    with store.hold(place) as free:
        if not free:
            name = place.name.partition("@")[2]
            todo = "leave it first"
            raise ClocheError("it is open elsewhere", where=name, todo=todo, status=Exit.HOST)
        yield


def opened_top(found: Kept) -> Path:
    """The directory for the sandbox: overlayfs does not take a volatile one twice."""
    work = found.place / "root/work"
    if work.exists():
        remove_tree(work)
    return found.place / "root"


def remove(store: Store, project: Project, name: str) -> None:
    """Remove a kept root, even a damaged one. Raises ClocheError if someone has it open."""
    place = place_of(store, project, name)
    with store.lock(f"freshroot-{place.name}"), alone(store, place):
        remove_tree(place)
        store.unpin(names.freshroot(store.path, place))
