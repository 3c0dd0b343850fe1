"""What a repository was made of: ``metadata/overlay.json`` in it, its lock.

It lies in the repository so that both are replaced as one.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

import msgspec

from cloche.config.errors import ConfigError, Origin
from cloche.decoding import NOT_DECODABLE
from cloche.overlays.content import File, plain
from cloche.overlays.source import LINK, PROGRAM, REGULAR, is_commit
from cloche.overlays.wishes import checked_address, is_branch, is_overlay, is_package

RECORD = "metadata/overlay.json"
_LIMIT = 64 << 20  # bytes
_FILE_LIMIT = 64 << 20


class Made(msgspec.Struct, frozen=True):
    """A file as it was written: its mode and id (`File.id`), and why it is there.

    ``origin`` is the id of the overlay's own file, where another content was made of it.
    """

    id: str
    why: tuple[str, ...] = ()
    origin: str = ""


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """An overlay in part: where it is from, which packages it has and why, and its files.

    ``packages`` has the reason of each: empty if it was asked for, else who needs it. ``lacking``
    are dependencies that no repository has, with those that need them.
    """

    overlay: str
    address: str
    commit: str
    branch: str = ""
    keyring: str = ""
    packages: dict[str, str] = {}
    lacking: dict[str, tuple[str, ...]] = {}
    files: dict[str, Made] = {}


def encoded(record: Record) -> File:
    """The record as a file that diffs well."""
    text = msgspec.json.format(msgspec.json.encode(record, order="sorted"), indent=1)
    return plain(text + b"\n")


def read(repository: Path) -> Record | None:
    """The record of a repository; None if the directory is not there. Raises `ConfigError`."""
    file = repository / RECORD
    if not repository.exists():
        return None
    try:
        if file.lstat().st_size > _LIMIT:
            raise OSError
        record = msgspec.json.decode(file.read_bytes(), type=Record)
        _check(record, repository, Origin(file))
        return record
    except (OSError, _WrongError, *NOT_DECODABLE) as error:
        todo = "move the directory away, then run `cloche overlay update`"
        what = "it was not made by `cloche overlay`, or its lock is damaged"
        raise ConfigError(Origin(file), what, todo) from error


class _WrongError(Exception):
    """A value that cloche never writes: the project may be somebody else's, and git gets it."""


def _check(record: Record, repository: Path, origin: Origin) -> None:
    """See that each value is what its name says. Raises _WrongError, `ConfigError`."""
    if not (
        record.overlay == repository.name
        and is_overlay(record.overlay)
        and is_commit(record.commit)
        and is_branch(record.branch)
        and all(is_package(package) for package in record.packages)
    ):
        raise _WrongError
    checked_address(record.address, origin)


def present(repository: Path) -> Mapping[str, File]:
    """All files of a repository as they are now, but for its lock. Raises `ConfigError`."""
    found = {}
    for directory, below, names in os.walk(repository):
        if ".git" in below:
            what = "nothing of it would be kept"
            raise ConfigError(Origin(Path(directory, ".git")), what, "move it away")
        links = [name for name in below if Path(directory, name).is_symlink()]
        for name in (*names, *links):
            path = Path(directory, name)
            relative = str(path.relative_to(repository))
            if relative != RECORD:
                found[relative] = _file(path)
    return found


def _file(path: Path) -> File:
    info = path.lstat()
    if stat.S_ISLNK(info.st_mode):
        return File(LINK, os.fsencode(path.readlink()))
    if not stat.S_ISREG(info.st_mode) or info.st_size > _FILE_LIMIT:
        raise ConfigError(Origin(path), "not a file of an ebuild repository", "move it away")
    return File(PROGRAM if info.st_mode & 0o100 else REGULAR, path.read_bytes())
