"""Opening what a session works with: the user namespace, the store, the engine; trying the host."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cloche.config.project import Project
from cloche.errors import host_trouble
from cloche.probing import host
from cloche.sandbox import userns
from cloche.sandbox.base import Engine
from cloche.store import Store

LITTLE = 1 << 20  # bytes free; with less, SQLite cannot work


def place_of_store(project: Project | None, data: Path | None = None) -> Path:
    """The default location of a store: as the project says, else below the user's data.

    ``data`` is the user's directory for data, ``~/.local/share`` where it is None.
    """
    if project is not None and project.store is not None:
        return project.store
    return (data or Path("~/.local/share").expanduser()) / "cloche"


@contextmanager
def open_store(path: Path, waiting: Callable[[str], None] | None = None) -> Iterator[Store]:
    """A store, as the one that cloche's user namespace shows.

    ``waiting`` is called with what it waits for; without it, waiting is an error. Raises
    `StoreError`, `HostError`, and `ClocheError` where SQLite or the file system refuses something.
    """
    userns.enter()
    host.check_ids()
    with sqlite_errors_named(path), Store.open(path, waiting=waiting) as store:
        yield store


@contextmanager
def sqlite_errors_named(path: Path) -> Iterator[None]:
    """Raise ClocheError for what SQLite raises in a block that uses the store in ``path``."""
    try:
        yield
    except sqlite3.Error as error:  # on a full file system it raises many errors
        room = os.statvfs(path)
        full = room.f_bavail * room.f_frsize < LITTLE
        raise host_trouble(error, str(path), full=full) from error


@contextmanager
def refusals_named(path: Path) -> Iterator[None]:
    """Raise ClocheError for what SQLite or the operating system refuses in a block.

    A `BrokenPipeError` is the caller's: the reader of what a sink writes is gone.
    """
    try:
        with sqlite_errors_named(path):
            yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise host_trouble(error) from error


def try_host(store: Store, engine: Engine) -> None:
    """Make one sandbox before any work, so that a host that cannot says what it lacks.

    Raises `HostError`, `SandboxError`.
    """
    with store.workspace("probe") as room:
        host.check(engine, room)
