"""Reads a directory of a user: bounded, and no link leads out of it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from cloche.config.errors import ConfigError
from cloche.config.files import FILE_LIMIT, TREE_BYTES, TREE_LIMIT, is_ignored, read_bytes
from cloche.errors import ClocheError, Exit
from cloche.importing.outcome import Omission


@dataclass(frozen=True, slots=True)
class Read:
    """Files by their path below the directory, those that can be executed, what was left out."""

    files: dict[str, bytes] = field(default_factory=dict)
    executable: set[str] = field(default_factory=set)
    omissions: list[Omission] = field(default_factory=list)


def read_folder(top: Path) -> Read:
    """All files below a directory but hidden ones. Raises ClocheError."""
    found, waiting, names, size = Read(), [""], 0, 0
    while waiting:
        above = waiting.pop()
        try:
            with os.scandir(top / above) as entries:
                listed = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            if not above:
                what = f"cannot be read: {error.strerror}"
                raise ClocheError(what, where=top, status=_status(error)) from error
            found.omissions.append(Omission(above, f"cannot be read: {error.strerror}"))
            continue
        for entry in listed:
            name = f"{above}/{entry.name}" if above else entry.name
            names += 1
            if names > TREE_LIMIT:
                raise ClocheError(f"more than {TREE_LIMIT} names below it", where=top)
            if is_ignored(entry.name):
                continue
            if not name.isprintable():
                found.omissions.append(Omission(ascii(name), "its name is not printable UTF-8"))
            elif entry.is_dir(follow_symlinks=False):
                waiting.append(name)
            elif entry.is_symlink() and entry.is_dir():
                found.omissions.append(Omission(name, "a link to a directory", "copy it there"))
            else:
                size += _take(found, top, name)
                if size > TREE_BYTES:
                    raise ClocheError(f"holds more than {TREE_BYTES >> 20} MiB", where=top)
    return found


def _take(found: Read, top: Path, name: str) -> int:
    """Read a file; the number of its bytes."""
    try:
        content = read_bytes(top / name, top, FILE_LIMIT)
        executable = os.access(top / name, os.X_OK)
    except ConfigError as error:
        found.omissions.append(Omission(name, error.what.replace("the project", str(top))))
        return 0
    found.files[name] = content
    if executable:
        found.executable.add(name)
    return len(content)


def _status(error: OSError) -> Exit | None:
    return Exit.HOST if isinstance(error, PermissionError) else None
