"""Resolves paths in a root, following all links as the kernel does."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from cloche.layers import Layer, Merged

_MAX_LINKS = 40  # as the kernel


@dataclass(frozen=True, slots=True)
class Found:
    """What a root has under a name; ``target`` is that of a link."""

    kind: Literal["directory", "link", "other"]
    target: str = ""


Look = Callable[[str], Found | None]
"""Looks up a name in a root; only its last part may be a link."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a path leads.

    ``real`` is its name with all links before the last part resolved; None if a directory on the
    way is missing, or is something else: then ``blocked`` is the path up to that part, as spelled.
    """

    real: str | None
    blocked: str | None = None


class Places:
    """Resolves paths of one root, and remembers what they lead through.

    ``hinges`` are, by their real names, the links on some path, and what is missing behind one:
    anything else there would change the result. ``passed`` are all other names.
    """

    def __init__(self, look: Look) -> None:
        self.look = look
        self.hinges: set[str] = set()
        self.passed: set[str] = set()
        self._places: dict[str, Place] = {"": Place("")}

    def place(self, path: str) -> Place:
        """Where a path leads, its last part not followed (lstat(2))."""
        above, _, name = path.rpartition("/")
        place = self.directory(above)
        return place if place.real is None else Place(_join(place.real, name))

    def find(self, path: str) -> Found | None:
        """What is at a path, its last part not followed; None if nothing is."""
        real = self.place(path).real
        return None if real is None else self.look(real)

    def directory(self, path: str) -> Place:
        """Where a directory lies: the last part is followed, too."""
        if path not in self._places:
            place = self.place(path)
            if place.real is not None:
                place = self._follow(place.real)
                if place.blocked is not None:
                    place = Place(None, path)
            self._places[path] = place
        return self._places[path]

    def _follow(self, name: str) -> Place:
        """Follow a name, before whose last part there is no link, to a directory."""
        at, _, last = name.rpartition("/")
        todo, links = [last], 0
        while todo:
            part = todo.pop()
            if part in ("", "."):
                continue
            if part == "..":
                at = at.rpartition("/")[0]
                continue
            here = _join(at, part)
            found = self.look(here)
            if found is not None and found.kind == "link" and links < _MAX_LINKS:
                self.hinges.add(here)
                links += 1
                at = "" if found.target.startswith("/") else at
                todo.extend(reversed(found.target.split("/")))
                continue
            (self.hinges if links and found is None else self.passed).add(here)
            if found is None or found.kind != "directory":
                return Place(None, None if found is None else here)
            at = here
        return Place(at)


def _join(directory: str, name: str) -> str:
    return f"{directory}/{name}" if directory else name


def look_into(layers: Sequence[Layer]) -> Look:
    """What a root of these layers, the bottom first, has under a name."""
    return look_of(Merged([layer.path for layer in layers]))


def look_of(merged: Merged) -> Look:
    """What a merged view has under a name."""

    def look(name: str) -> Found | None:
        node = merged.lookup(os.fsencode(name))
        if node is None:
            return None
        if node.is_directory:
            return Found("directory")
        if stat.S_ISLNK(node.info.st_mode):
            return Found("link", str(Path(os.fsdecode(node.origin)).readlink()))
        return Found("other")

    return lru_cache(maxsize=None)(look)
