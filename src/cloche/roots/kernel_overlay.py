"""Roots by the kernel's overlayfs: what engines use, and the fastest backend.

Limits of overlayfs with the options that a user namespace allows:

- A write to a file of the lowers with several names changes only that name, which becomes a
  separate file (``index=off``; with ``index=on`` the top cannot be used over other lowers).
- A link, FIFO, socket or device of the lowers that gets a second name shows two inode numbers until
  the next mount, as no attribute records its origin. The top, and so the layer, is right.
- A directory of the lowers cannot be renamed (EXDEV); mv(1) moves what is in it instead.
- A character device 0:0 cannot be made (EPERM): it is overlayfs's own mark.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from cloche.layers.capture import CaptureReport, capture
from cloche.linux import mounts
from cloche.roots.backend import Backend, Capture, Place, Shown, writable_top
from cloche.roots.errors import read_only_root
from cloche.roots.overlay import Api, compose


class KernelOverlay(Backend):
    """overlayfs, mounted by the given kernel interface."""

    def __init__(self, name: str, api: Api) -> None:
        self.name = name
        self.api = api

    @contextmanager
    def show(self, place: Place) -> Iterator[Capture]:
        """Mount it; a single lower without a top is a bind mount."""
        if place.upper is None:
            shown = self._mount(place, None, None)
            try:
                yield _nothing_written
            finally:
                shown.abandon()
            return
        with writable_top(place) as (top, work):
            shown = self._mount(place, top, work)

            def take(destination: Path, drop: Sequence[str]) -> CaptureReport:
                shown.end()
                return capture(top, place.lowers, destination, drop=drop)

            try:
                yield take
            finally:
                shown.abandon()

    def _mount(self, place: Place, top: Path | None, work: Path | None) -> Shown:
        fd = compose(place.lowers, top=top, work=work, stage=place.at, api=self.api)
        try:
            mounts.move_mount(fd, place.at)
        finally:
            os.close(fd)
        return Shown(place.at)


def _nothing_written(destination: Path, drop: Sequence[str]) -> CaptureReport:
    raise read_only_root(destination)
