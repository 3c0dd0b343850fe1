"""What is in a machine's root, for the steps of its finish and for images: files, users, groups."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import cached_property
from glob import has_magic
from pathlib import Path

from cloche.composing.places import Places, look_of
from cloche.config.errors import ConfigError, Origin
from cloche.config.finish_steps import FinishStep
from cloche.layers import Merged
from cloche.layers.merge import open_node

ACCOUNTS = ("passwd", "group")
_LIMIT = 4 << 20  # bytes of a file of accounts


@dataclass(frozen=True)
class FinishRoot:
    """Trees that lie over each other, the bottom first, and directories copied over them.

    A directory that is copied does not replace a link to one. ``users`` and ``groups`` are those of
    any of the trees: hooks of several packages may have added theirs to one file.
    """

    trees: tuple[Path, ...]
    users: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    copied: tuple[Path, ...] = ()

    @cached_property
    def _merged(self) -> Merged:
        return Merged(self.trees)

    @cached_property
    def _places(self) -> Places:
        return Places(look_of(self._merged))

    @cached_property
    def _brought(self) -> frozenset[str]:
        """What the copied directories bring, under its real name in the trees."""
        names = (str(path.relative_to(top)) for top in self.copied for path in top.rglob("*"))
        return frozenset(self._real(name) for name in names)

    def _real(self, path: str) -> str:
        return self._places.place(path).real or path

    def has(self, path: str) -> bool:
        """Whether something is at a path."""
        path = path.strip("/")
        if self._places.find(path) is not None or self._real(path) in self._brought:
            return True
        return any(os.path.lexists(top / path) for top in self.copied)  # by links of its own

    def matches(self, pattern: str) -> bool:
        """Whether a path exists; its names may have wildcards (glob(7))."""
        places = [""]
        for part in pattern.strip("/").split("/"):
            if has_magic(part):
                places = [f"{p}/{n}" for p in places for n in self.names(p) if fnmatchcase(n, part)]
            else:
                places = [f"{place}/{part}" for place in places]
        return any(self.has(place) for place in places)

    def names(self, path: str) -> list[str]:
        """The names in a directory; none without it."""
        path = path.strip("/")
        real = self._places.directory(path).real or path
        found = {
            name.rpartition("/")[2] for name in self._brought if Path(name).parent == Path(real)
        }
        node = self._merged.lookup(os.fsencode(real))
        if node is not None and node.is_directory:
            children = self._merged.children(node)
            found |= {os.fsdecode(each.path.rpartition(b"/")[2]) for each in children}
        return sorted(found)

    def after(self, step: FinishStep) -> FinishRoot:
        """The root with what a step brings besides."""
        if step.kind == "files" and step.path is not None:
            users, groups = (frozenset(_accounts([step.path.resolve()], name)) for name in ACCOUNTS)
            copied = (*self.copied, step.path)
            return FinishRoot(self.trees, self.users | users, self.groups | groups, copied)
        if step.kind in ("user", "users"):  # a new user's own group has its name
            added = {word.partition(":")[0].partition("=")[0] for word in step.words}
            return replace(self, users=self.users | added, groups=self.groups | added)
        if step.kind in ("group", "groups"):
            added = {word.partition(":")[0] for word in step.words}
            return replace(self, groups=self.groups | added)
        return self


@dataclass(frozen=True, slots=True)
class Presence:
    """What an image needs in the finished root: at least one of ``paths``.

    The paths may have wildcards (glob(7)). ``category`` is that of the packages which usually
    install it, or empty.
    """

    paths: tuple[str, ...]
    origin: Origin
    what: str
    todo: str
    category: str = ""

    def missing(self) -> ConfigError:
        """The error for a root that does not have it."""
        return ConfigError(self.origin, self.what, self.todo)


def root_of(trees: Sequence[Path]) -> FinishRoot:
    """The root that these trees make, the bottom first."""
    users, groups = (frozenset(_accounts(trees, name)) for name in ACCOUNTS)
    return FinishRoot(tuple(trees), users, groups)


def _accounts(trees: Iterable[Path], name: str) -> set[str]:
    """The names in passwd(5) or group(5) of any tree; of links nothing is read."""
    found: set[str] = set()
    for tree in trees:
        node = Merged([tree]).lookup(f"etc/{name}".encode())
        if node is None or not stat.S_ISREG(node.info.st_mode) or node.info.st_size > _LIMIT:
            continue
        with open_node(node) as file:
            lines = file.read().split(b"\n")
        found |= {os.fsdecode(line.partition(b":")[0]) for line in lines if b":" in line}
    return found
