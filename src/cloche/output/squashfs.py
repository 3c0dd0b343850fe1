"""The root as a squashfs, by tar2sqfs(1) of squashfs-tools-ng.

gensquashfs(1) of the same package makes a file of each name of a hard link, and ends at an ACL,
which a squashfs cannot hold.
"""

from __future__ import annotations

from collections.abc import Sequence

from cloche.config.images import Squashfs
from cloche.output import copied_root
from cloche.output.imaging import IMAGE, OUT, Imaging

#: What these options of gensquashfs(1) ask for is done anyway; tar2sqfs(1) would do the opposite.
_KEEP_XATTRS = frozenset({"-x", "--keep-xattr"})
_KEEP_TIMES = frozenset({"-k", "--keep-time"})


def make(work: Imaging) -> None:
    """Make the image. Raises StepError."""
    assert isinstance(work.image.format, Squashfs)  # noqa: S101
    pack(work, IMAGE, work.image.format.options)


def pack(work: Imaging, file: str, options: Sequence[str]) -> None:
    """Pack the root to a file of `OUT`, all of it but its ACLs. Raises StepError.

    All times are the one date of all builds (`SOURCE_DATE_EPOCH` in the environment).
    """
    words = program(options)
    copied_root.pack_into(work, *words, f"{OUT}/{file}")


def program(options: Sequence[str]) -> tuple[str, ...]:
    """The program and its options. A pure function."""
    times = () if _KEEP_TIMES & set(options) else ("--no-keep-time",)
    same = (option for option in options if option not in _KEEP_XATTRS | _KEEP_TIMES)
    return ("/usr/bin/tar2sqfs", "--quiet", *times, *same)
