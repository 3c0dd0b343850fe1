"""An image that is a directory: what mkosi packed as a tarball, unpacked among the outputs.

The store keeps the tarball. Beside the directory lies a mark, which says that cloche made
it, and of what: it is replaced when the image is another one, and only then.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from cloche.archives import replace_directory
from cloche.config.images import Image
from cloche.config.mkosi import Mkosi
from cloche.errors import ClocheError, unwritable
from cloche.linux.mounts import mount_points
from cloche.output.claim import OTHER
from cloche.sandbox.userns import is_real_root


def is_directory(image: Image) -> bool:
    """Whether an image is a directory."""
    return isinstance(image.format, Mkosi) and image.format.word == "directory"


def check(image: Image, outputs: Path) -> None:
    """See that a directory can be made among a machine's outputs. Raises ClocheError.

    Owners, device nodes and capabilities of an ordinary user's files are not those of the machine.
    """
    if not is_directory(image):
        return
    if os.geteuid() != 0 or not is_real_root():
        raise ClocheError(
            "only root can make files of all owners, which an image of format directory has",
            where=image.origin,
            todo='write format = "tar", or run cloche as root',
        )
    _check_replaceable(outputs / image.file)


def place(tarball: Path, target: Path, blob: str) -> None:
    """Unpack a tarball, whose ID is ``blob``, unless that was done. Raises ClocheError."""
    mark = _mark(target)
    if _marked(target) == blob and target.is_dir():
        return
    _check_replaceable(target)
    try:
        mark.write_text("\n")  # it is cloche's, but not complete
        replace_directory(target, tarball)
        mark.write_text(f"{blob}\n")
    except OSError as error:
        raise unwritable(error.filename or target, error, OTHER) from error


def _check_replaceable(target: Path) -> None:
    """See that there is nothing, or what cloche made and nobody has mounted anything into."""
    if not os.path.lexists(target):
        return
    if _marked(target) is None or target.is_symlink() or not target.is_dir():
        raise ClocheError(
            "not created by cloche; the image would replace it",
            where=target,
            todo="choose another directory with --output, or move this away",
        )
    below = os.fsencode(target.resolve())
    for point in mount_points():
        if point == below or point.startswith(below + b"/"):
            raise ClocheError(
                f"a file system is mounted at {os.fsdecode(point)}, in an image to be replaced",
                where=target,
                todo="unmount it",
            )


def _mark(target: Path) -> Path:
    return target.with_name(f".{target.name}.image")


def _marked(target: Path) -> str | None:
    """The blob that a directory is made of, "" for a part of one; None if it is not cloche's."""
    with suppress(FileNotFoundError):
        return _mark(target).read_text().strip()
    return None
