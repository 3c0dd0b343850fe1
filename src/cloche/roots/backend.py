"""The interface of backends, which show a stack of layers as one tree at a directory."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from cloche.errors import Exit
from cloche.layers.capture import CaptureReport
from cloche.layers.copying import give_attributes
from cloche.layers.merge import Merged
from cloche.linux import mounts
from cloche.linux.paths import make_plain
from cloche.roots.errors import RootError
from cloche.store.removal import remove_tree

Capture = Callable[[Path, Sequence[str]], CaptureReport]
"""Ends a root and makes a layer from what was written: its destination, patterns to drop."""


@dataclass(frozen=True, slots=True)
class Place:
    """A root to be: ``lowers`` the bottom first, shown ``at`` an empty directory.

    ``upper`` is an empty directory for what is written, or None for a root that is read-only.
    """

    lowers: tuple[Path, ...]
    at: Path
    upper: Path | None


class Backend(ABC):
    """Shows a stack. ``writable`` says whether it supports a writable top."""

    name: str
    writable: bool = True

    @abstractmethod
    def show(self, place: Place) -> AbstractContextManager[Capture]:
        """Show the root until the end of the context, which removes it.

        Raises OSError and the errors of `layers.errors`.
        """


@contextmanager
def writable_top(place: Place) -> Iterator[tuple[Path, Path]]:
    """Make the top and work directories of an overlay; the top's own attributes are the stack's."""
    if place.upper is None:
        raise ValueError("a root without upper has no top")
    top, work = place.upper / "top", place.upper / "work"
    root = Merged(place.lowers).root
    try:
        top.mkdir()
        work.mkdir()
        make_plain(top)
        make_plain(work)
        if root is not None:
            give_attributes(root, os.fsencode(top))
        yield top, work
    finally:
        remove_tree(top)
        remove_tree(work)


class Shown:
    """A mount at a directory, and a function to call after its end."""

    def __init__(self, at: Path, after: Callable[[], object] = lambda: None) -> None:
        self.at = at
        self.after = after
        self.there = True

    def end(self) -> None:
        """Unmount and write everything out. Raises RootError if it is still in use."""
        if self.there:
            try:
                mounts.unmount(self.at)
            except OSError as error:
                raise RootError(
                    "the root is still in use",
                    where=self.at,
                    todo="end the processes that use it",
                    status=Exit.FAILED,
                ) from error
            self.there = False
            self.after()

    def abandon(self) -> None:
        """Detach the mount, even if it is in use."""
        if self.there:
            mounts.unmount(self.at, detach=True)
            self.there = False
            self.after()
