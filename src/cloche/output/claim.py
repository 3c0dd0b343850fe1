"""Who owns a directory of packages: cloche replaces what it made itself, and nothing else."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cloche.errors import ClocheError, unwritable
from cloche.store.locks import hold, release

MARKER = ".cloche"
BINPKGS = "binpkgs"
OTHER = "choose a directory that you may write to with --output"


def check_directory(directory: Path) -> None:
    """See that there is a directory to write to, or none yet and it can be made.

    Makes and removes a name in what is there of it: a read-only mount or a pseudo file system shows
    in no permission bits. Raises ClocheError.
    """
    for place in (directory, *directory.parents):
        if os.path.lexists(place):
            if not place.is_dir():
                raise ClocheError(
                    f"{place} is not a directory",
                    where=directory,
                    todo="choose a directory with --output",
                )
            try:
                Path(tempfile.mkdtemp(prefix=".cloche-", dir=place)).rmdir()
            except OSError as error:
                raise unwritable(directory, error, OTHER) from error
            break


def is_replaceable(directory: Path) -> bool:
    """Whether there is nothing, an empty directory, or one that cloche made."""
    if not os.path.lexists(directory):
        return True
    if directory.is_symlink() or not directory.is_dir():
        return False
    marker = directory / MARKER
    ours = marker.is_file() and not marker.is_symlink()
    return ours or not any(directory.iterdir())


def check_replaceable(packages: Path) -> None:
    """See that there is nothing, or what cloche made."""
    if not is_replaceable(packages):
        raise ClocheError(
            "not created by cloche; it would be replaced by the machine's packages",
            where=packages,
            todo="choose another directory with --output, or move this one away",
        )


def mark(packages: Path, machine: str, project: Path) -> None:
    """Say in a new directory that it is cloche's, and what it was made from."""
    text = json.dumps({"machine": machine, "project": str(project)}, indent=2)
    (packages / MARKER).write_text(text + "\n", encoding="utf-8")


@contextmanager
def alone(directory: Path) -> Iterator[None]:
    """Keep other cloche processes, of any store, from placing outputs in the directory."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        hold(fd)
        yield
    finally:
        release(fd)
