"""Putting files of the store where a user finds them."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path


def place(source: Path, target: Path) -> None:
    """Show a file of the store as ``target``: linked where that can be, else copied. Atomic.

    A linked file has mode 0444, as it has in the store: it must not be changed in place.
    """
    aside = target.with_name(f".{target.name}.{os.getpid()}")
    with suppress(FileNotFoundError):
        aside.unlink()
    try:
        os.link(source, aside)
    except OSError:
        shutil.copyfile(source, aside)
    aside.rename(target)
    with suppress(FileNotFoundError):
        aside.unlink()  # rename(2) does nothing where both are links to one file already
