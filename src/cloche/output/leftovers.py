"""Removes files of images that earlier builds made, and the last one, of another format, did not.

A list beside the outputs says which files each image has. Only files on this list are removed.
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
"""Names of files by image."""

_LIST = ".images"


def remove_leftovers(directory: Path, files: Files) -> list[Path]:
    """Remove old files of these images, update the list, and return what was removed.

    Other images keep their files. Raises OSError.
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
    """Remove regular files. Directories stay: users may have changed them."""
    for name in sorted({name for names in before.values() for name in names} - wanted):
        path = directory / name
        with suppress(FileNotFoundError):
            if stat.S_ISREG(path.lstat().st_mode):
                path.unlink()
                yield path


def _read(directory: Path) -> dict[str, list[str]]:
    """The list; empty if it is missing or damaged."""
    with suppress(OSError, ValueError):
        found = json.loads((directory / _LIST).read_bytes())
        if isinstance(found, dict) and all(map(_are_names, found.values())):
            return found
    return {}


def _are_names(names: object) -> bool:
    """Whether this is a list of plain file names, none of them hidden."""
    return isinstance(names, list) and all(
        isinstance(name, str) and "/" not in name and not name.startswith(".") for name in names
    )
