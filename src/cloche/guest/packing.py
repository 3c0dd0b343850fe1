"""Portage's packer with a clock that stands still, in a copy of this process.

Portage stamps the members of a GPKG with the time of day, takes its metadata in the order of the
directory, and starts a new interpreter for it, which imports all that is there already. The phase
asks `bin/portage-python` instead, which hands the words over to a process that waits for them.
"""

from __future__ import annotations

import datetime
import os
import runpy
import shutil
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from . import settings as guest_settings

#: `bin/portage-python` knows this place, too.
PLACE = Path("/var/tmp/portage/.cloche-pack")  # noqa: S108 - a directory of the sandbox


class StillDatetime(datetime.datetime):
    """A datetime whose now() is always the same."""

    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> StillDatetime:
        """The one moment."""
        return cls.fromtimestamp(guest_settings.epoch(), tz)


@contextmanager
def waiting_packer() -> Iterator[None]:
    """Have a process at hand that packs, once, what `bin/portage-python` is asked to pack."""
    shutil.rmtree(PLACE, ignore_errors=True)
    PLACE.mkdir(parents=True)
    for name in ("words", "status"):
        os.mkfifo(PLACE / name)
    child = os.fork()
    if not child:
        _pack_once()
    try:
        yield
    finally:
        os.kill(child, signal.SIGKILL)  # it waits still if the phase did not come so far
        os.waitpid(child, 0)
        shutil.rmtree(PLACE)


def _pack_once() -> None:
    status = 1
    try:
        helper, *words = (PLACE / "words").read_text(encoding="utf-8").splitlines()
        still_gpkg()
        status = runpy.run_path(helper, run_name="packer")["main"]([helper, *words])
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        (PLACE / "status").write_text(f"{status}\n", encoding="ascii")
        os._exit(0)


def still_gpkg() -> None:
    """Make Portage's writer of GPKG files use the clock, and an order."""
    from portage import gpkg

    from_directory = gpkg.gpkg._generate_metadata_from_dir

    def sorted_metadata(self: Any, directory: str) -> dict[str, Any]:
        return dict(sorted(from_directory(self, directory).items()))

    gpkg.datetime = StillDatetime
    gpkg.gpkg._generate_metadata_from_dir = sorted_metadata
