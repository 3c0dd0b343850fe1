"""One writer at a time in a repository: flock(2) on its directory, which leaves no file."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from cloche.errors import ClocheError, Exit
from cloche.store.locks import release, try_hold


@contextlib.contextmanager
def alone(repository: Path) -> Iterator[None]:
    """Be the only one who writes ebuilds. Raises `ClocheError` where another one does."""
    place = os.open(repository, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if not try_hold(place):
            what = "another process of autogen writes into this repository"
            todo = "wait until it has ended"
            raise ClocheError(what, where=repository, todo=todo, status=Exit.HOST)
        yield
    finally:
        release(place)
