"""The root as an EROFS, by mkfs.erofs(1) of erofs-utils."""

from __future__ import annotations

from cloche.config.images import Erofs
from cloche.layers import SOURCE_DATE_EPOCH
from cloche.output.imaging import IMAGE, OUT, Imaging
from cloche.tasks.task import ROOT


def make(work: Imaging) -> None:
    """Make the image. Raises StepError."""
    wanted = work.image.format
    assert isinstance(wanted, Erofs)  # noqa: S101
    work.run(
        *("/usr/bin/mkfs.erofs", "--quiet", "-T", str(SOURCE_DATE_EPOCH), "--all-time"),
        *("-U", work.uuid("file system"), *wanted.options, f"{OUT}/{IMAGE}", ROOT),
    )
