"""What can go wrong with layers."""

# ruff: noqa: D102 - the texts of an error are documented in cloche.errors

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from cloche.errors import ClocheError, Exit


class MissingLowerError(ClocheError):
    """A directory of a stack is not there, or is not a directory."""

    status = Exit.FAILED

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.path = path

    @property
    def what(self) -> str:
        return "a layer of the stack is missing, or is no directory"

    @property
    def where(self) -> str:
        return str(self.path)

    @property
    def todo(self) -> str:
        return "look whether it was moved; `cloche store verify` finds what a store has lost"


class PathTooLongError(ClocheError):
    """A name lies deeper in a layer than the kernel's paths reach (PATH_MAX, 4096 bytes)."""

    status = Exit.FAILED

    def __init__(self, path: bytes) -> None:
        super().__init__(path)
        self.path = path

    @property
    def what(self) -> str:
        return f"a path of {len(self.path)} bytes is longer than stacks of layers are read"

    @property
    def where(self) -> str:
        return f"{os.fsdecode(self.path[:200])}…"

    @property
    def todo(self) -> str:
        return "remove that tree before the layer is made, or leave it out (`drop`)"


class NotEmptyError(ClocheError):
    """A directory that a root or a new tree needs for itself holds something."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.path = path

    @property
    def what(self) -> str:
        return "an empty directory is needed, and this one is not"

    @property
    def where(self) -> str:
        return str(self.path)

    @property
    def todo(self) -> str:
        return "choose another one"


def refuse_full(destination: Path) -> None:
    """Raise `NotEmptyError` where a new tree would mix with what is there already."""
    if destination.exists() and any(destination.iterdir()):
        raise NotEmptyError(destination)


class WithinLayerError(ClocheError):
    """A new tree was to be made within one that it is made of, which nothing may write to."""

    def __init__(self, destination: Path, source: Path) -> None:
        super().__init__(destination, source)
        self.destination = destination
        self.source = source

    @property
    def what(self) -> str:
        return f"it lies within {self.source}, which the new tree is made of"

    @property
    def where(self) -> str:
        return str(self.destination)

    @property
    def todo(self) -> str:
        return "choose another place"


def refuse_within(destination: Path, sources: Iterable[Path]) -> None:
    """Raise `WithinLayerError` for a tree to be made in one of its sources."""
    place = destination.resolve()
    around = set()
    for directory in (place, *place.parents):
        with suppress(FileNotFoundError):
            around.add((directory.stat().st_dev, directory.stat().st_ino))
    for source in sources:
        with suppress(FileNotFoundError):  # told better when it is read
            info = source.stat()
            if (info.st_dev, info.st_ino) in around:
                raise WithinLayerError(destination, source)
