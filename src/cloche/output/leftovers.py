"""Files that an earlier build left of an image which now has others, as after a change of format.

A list among a machine's outputs says which files each image has; nothing else is ever removed.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from cloche.output.claim import alone

Files = Mapping[str, Sequence[str]]
"""The names of files, by those of images."""

_LIST = ".images"


def remove_leftovers(directory: Path, files: Files) -> list[Path]:
    """Remove what images had before and have no more; write down what they have. Raises OSError.

    Images that are not among ``files`` keep what they have.
    """
    if not files:
        return []
    with alone(directory):
        before = _read(directory)
        new = {**before, **{image: list(names) for image, names in files.items()}}
        wanted = {name for names in new.values() for name in names}
        removed = list(_removed(directory, before, wanted))
        if new != before:
            aside = directory / f"{_LIST}.{os.getpid()}"
            aside.write_text(json.dumps(new, indent=1) + "\n")
            aside.rename(directory / _LIST)
    return removed


def _removed(directory: Path, before: Files, wanted: set[str]) -> Iterator[Path]:
    """Remove regular files; a directory that was an image may have been changed by its user."""
    for name in sorted({name for names in before.values() for name in names} - wanted):
        path = directory / name
        with suppress(FileNotFoundError):
            if stat.S_ISREG(path.lstat().st_mode):
                path.unlink()
                yield path


def _read(directory: Path) -> dict[str, list[str]]:
    """The list; without images if it is missing, or was changed to something else."""
    with suppress(OSError, ValueError):
        found = json.loads((directory / _LIST).read_bytes())
        if isinstance(found, dict) and all(map(_are_names, found.values())):
            return found
    return {}


def _are_names(names: object) -> bool:
    """Whether this is a list of names in one directory, none of them hidden."""
    return isinstance(names, list) and all(
        isinstance(name, str) and "/" not in name and not name.startswith(".") for name in names
    )
