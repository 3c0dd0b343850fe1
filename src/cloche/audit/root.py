"""A whole root as a table of names, composed of the surveys of its layers."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence

from cloche.audit.elf import Elf
from cloche.audit.survey import Survey
from cloche.composing.footprint import VDB
from cloche.composing.places import Found, Places
from cloche.layers import Layer
from cloche.store.tree import read_file

_MAX_LINKS = 40  # as the kernel
_LARGE = 1 << 20  # bytes: more than any configuration that is read here
_DIRECTORY, _OTHER = Found("directory"), Found("other")


class Root:
    """The names of a root, and what its layers say of them. The bottom layer comes first.

    The layers have whiteouts, as those that cloche makes, and no opaque directories.
    """

    def __init__(self, layers: Sequence[Layer], surveys: Mapping[str, Survey]) -> None:
        self.layers, self.surveys = layers, [surveys[layer.id] for layer in layers]
        self.names: dict[str, Found] = {"": _DIRECTORY}
        self._origin: dict[str, int] = {}
        for number, each in enumerate(self.surveys):
            self._add(number, each)
        self.places = Places(self.names.get)
        self.elves: dict[str, Elf] = {
            name: elf
            for number, each in enumerate(self.surveys)
            for name, elf in each.elves.items()
            if self._origin.get(name) == number
        }

    def _add(self, number: int, each: Survey) -> None:
        for name in sorted(each.gone | each.files | each.links.keys()):
            if self.names.get(name) is _DIRECTORY:
                self._hide(f"{name}/")
            self.names.pop(name, None)
            self._origin.pop(name, None)
        for name in each.directories:
            if self.names.get(name) is not _DIRECTORY:
                self.names[name] = _DIRECTORY
                self._origin[name] = number
        for name in each.files:
            self.names[name] = _OTHER
            self._origin[name] = number
        for name, target in each.links.items():
            self.names[name] = Found("link", target)
            self._origin[name] = number

    def _hide(self, below: str) -> None:
        for name in [name for name in self.names if name.startswith(below)]:
            del self.names[name], self._origin[name]

    def files(self) -> Iterator[tuple[str, Layer, Survey]]:
        """All names that are not directories, in order, each with the layer that has it."""
        for name in sorted(self.names):
            if self.names[name] is not _DIRECTORY:
                number = self._origin[name]
                yield name, self.layers[number], self.surveys[number]

    def package_of(self, name: str) -> str:
        """The package (as cpv) whose layer has a name; for other layers what they are for."""
        return self.layers[self._origin[name]].label

    def chosts(self) -> Iterator[str]:
        """What Portage's records of the packages say that they were built for."""
        for layer in self.layers:
            if layer.kind == "package":
                name = os.fsencode(f"{VDB}/{layer.label}/CHOST")
                with contextlib.suppress(OSError):
                    yield os.fsdecode(read_file(layer.path, name)).strip()

    def scripts(self) -> Iterator[tuple[str, str]]:
        """Each executable script with what follows its ``#!``."""
        for number, each in enumerate(self.surveys):
            for name, line in each.scripts.items():
                if self._origin.get(name) == number:
                    yield name, line

    def read(self, name: str) -> str:
        """The text of a file by its real name; empty if it cannot be, or is large."""
        try:
            tree = self.layers[self._origin[name]].path
            if (tree / name).lstat().st_size > _LARGE:
                return ""
            return os.fsdecode(read_file(tree, os.fsencode(name)))
        except (KeyError, OSError):
            return ""

    def real(self, path: str) -> str | None:
        """The real name of what a path leads to, all links followed; None if it is missing."""
        return real(self.places, path)


def real(places: Places, path: str) -> str | None:
    """The real name of what a path leads to in some root, all links followed."""
    path = path.lstrip("/")
    for _ in range(_MAX_LINKS):
        name = places.place(path).real
        found = None if name is None else places.look(name)
        if name is None or found is None:
            return None
        if found.kind != "link":
            return name
        above = "" if found.target.startswith("/") else name.rpartition("/")[0]
        path = f"{above}/{found.target}".lstrip("/")
    return None
