"""Disk images with partitions (qcow2, or plain with a GPT), and images of a single file system."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

from dissect.hypervisor.disk.qcow2 import QCow2
from dissect.volume.disk import Disk

from cloche.archives.tarformat import Member, nothing
from cloche.comparison import forms
from cloche.comparison.filesystems import names_of
from cloche.comparison.guard import Metered, guarded, reading, unreadable
from cloche.comparison.source import Names, Source

_PARTITIONS = 128  # as a GPT has


@contextmanager
def opened_filesystem(file: BinaryIO, path: Path) -> Iterator[Sequence[Source]]:
    """An image of one file system. Raises `ClocheError`."""
    yield [filesystem_source("", cast(IO[bytes], Metered(file, path)), path)]


def filesystem_source(name: str, image: IO[bytes], path: object) -> Source:
    """The file system in an image or in a part of one. Raises `ClocheError` for an unknown one."""
    image.seek(0)
    form = forms.filesystem(image.read(forms.HEAD))
    if form is None:
        raise unreadable(path, "unknown file system")
    where = f"{path}: {name}" if name else path
    return Source(name, form, lambda: names_of(form, image, where))


@contextmanager
def opened_disk(file: BinaryIO, path: Path) -> Iterator[Sequence[Source]]:
    """A disk with its partitions; those with a known file system are separate trees.

    An image that names another file as its base is refused; that file is not read. Raises
    `ClocheError`.
    """
    with guarded(path):
        disk: IO[bytes] = cast(IO[bytes], Metered(file, path))
        qcow2 = forms.is_qcow2(file.read(8))
        disk.seek(0)
        if qcow2:
            disk = QCow2(disk).open()
        partitions = Disk(disk).partitions
        if len(partitions) > _PARTITIONS:
            raise ValueError(f"{len(partitions)} partitions")
        inside = [
            filesystem_source(_name(partition), partition.open(), path)
            for partition in partitions
            if forms.filesystem(partition.open().read(forms.HEAD)) is not None
        ]
        opened = frozenset(source.name for source in inside)
    sizes = {_name(partition): f"{partition.size} bytes" for partition in partitions}
    about = {"form": "qcow2" if qcow2 else "raw", **sizes}
    yield [
        Source("", "disk", lambda: _partitions(partitions, opened, path), about, opened),
        *inside,
    ]


def _name(partition: Any) -> str:
    """The name of a partition: its number and its purpose."""
    return f"partition {partition.number} ({partition.type_name})".replace("/", "-")


def _partitions(partitions: Sequence[Any], opened: frozenset[str], path: Path) -> Names:
    """The partitions as names. Those with an unknown file system are compared by content."""
    for partition in partitions:
        name = _name(partition)
        size = 0 if name in opened else partition.size
        member = Member(name.encode(), "partition", 0, 0, 0, 0, size=size)
        yield member, reading(path, partition.open().read) if size else nothing
