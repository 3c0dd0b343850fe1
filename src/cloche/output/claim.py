"""Whose a directory of packages is: cloche replaces what it made itself, and nothing else."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cloche.errors import ClocheError
from cloche.store.locks import hold, release

MARKER = ".cloche"
BINPKGS = "binpkgs"


class OutputTakenError(ClocheError):
    """The place for the packages holds something that is not cloche's to remove."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.path = path

    @property
    def what(self) -> str:
        """Say whose it is not."""
        return "cloche did not make this, and would have to replace it with the machine's packages"

    @property
    def where(self) -> str:
        """The directory."""
        return str(self.path)

    @property
    def todo(self) -> str:
        """Both ways out."""
        return "choose another directory with --output, or move this one away"


class OutputPlaceError(ClocheError):
    """No directory can be where the outputs are to go."""

    def __init__(self, path: Path, obstacle: Path) -> None:
        super().__init__(path, obstacle)
        self.path, self.obstacle = path, obstacle

    @property
    def what(self) -> str:
        """Name what is in the way."""
        return f"{self.obstacle} is not a directory"

    @property
    def where(self) -> str:
        """The directory that was asked for."""
        return str(self.path)

    @property
    def todo(self) -> str:
        """The option."""
        return "choose a directory with --output"


def check_output(directory: Path) -> None:
    """See that a machine's outputs may go there, before hours of work are spent on them.

    Raises OutputPlaceError, OutputTakenError.
    """
    for place in (directory, *directory.parents):
        if os.path.lexists(place):
            if not place.is_dir():
                raise OutputPlaceError(directory, place)
            break
    check_replaceable(directory / BINPKGS)


def check_replaceable(packages: Path) -> None:
    """Raises OutputTakenError unless nothing is there, or cloche made what is."""
    if not os.path.lexists(packages):
        return
    if packages.is_symlink() or not packages.is_dir():
        raise OutputTakenError(packages)
    marker = packages / MARKER
    if (marker.is_symlink() or not marker.is_file()) and any(packages.iterdir()):
        raise OutputTakenError(packages)


def mark(packages: Path, machine: str, project: Path) -> None:
    """Say in a new directory that it is cloche's, and what it was made from."""
    text = json.dumps({"machine": machine, "project": str(project)}, indent=2)
    (packages / MARKER).write_text(text + "\n", encoding="utf-8")


@contextmanager
def alone(directory: Path) -> Iterator[None]:
    """Keep other cloches, whatever their store, from placing outputs in the directory meanwhile."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        hold(fd)
        yield
    finally:
        release(fd)
