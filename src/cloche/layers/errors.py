"""What can go wrong with layers."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from cloche.errors import ClocheError


class LayerError(ClocheError):
    """A layer cannot be read, or not be made there."""


def not_empty(path: Path) -> LayerError:
    """A directory that a root or a new tree needs for itself holds something."""
    what = "an empty directory is needed, and this one is not"
    return LayerError(what, where=path, todo="choose another one")


def refuse_full(destination: Path) -> None:
    """Raise `LayerError` where a new tree would mix with what is there already."""
    if destination.exists() and any(destination.iterdir()):
        raise not_empty(destination)


def refuse_within(destination: Path, sources: Iterable[Path]) -> None:
    """Raise `LayerError` for a tree to be made in one of its sources, which stay as they are."""
    place = destination.resolve()
    around = set()
    for directory in (place, *place.parents):
        with suppress(FileNotFoundError):
            around.add((directory.stat().st_dev, directory.stat().st_ino))
    for source in sources:
        with suppress(FileNotFoundError):  # reading it gives the better error
            info = source.stat()
            if (info.st_dev, info.st_ino) in around:
                raise LayerError(
                    f"it lies within {source}, which the new tree is made of",
                    where=destination,
                    todo="choose another place",
                )
