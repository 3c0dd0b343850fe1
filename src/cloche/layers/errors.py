"""Errors of layers."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from cloche.errors import ClocheError


class LayerError(ClocheError):
    """A layer cannot be read, or cannot be made there."""


def not_empty(path: Path) -> LayerError:
    """A root or a new tree needs an empty directory, and this one is not empty."""
    what = "the directory is not empty"
    return LayerError(what, where=path, todo="choose another one")


def refuse_full(destination: Path) -> None:
    """Raise `LayerError` if a new tree would mix with existing files."""
    if destination.exists() and any(destination.iterdir()):
        raise not_empty(destination)


def refuse_within(destination: Path, sources: Iterable[Path]) -> None:
    """Raise `LayerError` if the new tree would lie within one of its sources."""
    place = destination.resolve()
    around = set()
    for directory in (place, *place.parents):
        with suppress(FileNotFoundError):
            around.add((directory.stat().st_dev, directory.stat().st_ino))
    for source in sources:
        with suppress(FileNotFoundError):  # reading it gives a better error
            info = source.stat()
            if (info.st_dev, info.st_ino) in around:
                raise LayerError(
                    f"it lies within {source}, a source of the new tree",
                    where=destination,
                    todo="choose another place",
                )
