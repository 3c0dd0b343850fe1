"""The root as a squashfs, by gensquashfs(1) of squashfs-tools-ng."""

from __future__ import annotations

from collections.abc import Sequence

from cloche.config.images import Squashfs
from cloche.output.imaging import IMAGE, OUT, Imaging
from cloche.tasks.task import ROOT


def make(work: Imaging) -> None:
    """Make the image. Raises StepError."""
    assert isinstance(work.image.format, Squashfs)  # noqa: S101
    pack(work, IMAGE, work.image.format.options)


def pack(work: Imaging, file: str, options: Sequence[str]) -> None:
    """Pack the root to a file of `OUT`. Raises StepError.

    All times are the one date of all builds (`SOURCE_DATE_EPOCH` in the environment).
    """
    work.run("/usr/bin/gensquashfs", "-D", ROOT, "-x", "-q", *options, f"{OUT}/{file}")
