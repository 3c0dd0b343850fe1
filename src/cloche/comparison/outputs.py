"""Reads an output: recognizes its form, finds the trees in it, and takes stock of each."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

from cloche.archives import Limits
from cloche.comparison import forms, trees
from cloche.comparison.comparison import Tree
from cloche.comparison.inventory import LIMITS, Reader, Watch
from cloche.comparison.source import Source
from cloche.errors import ClocheError, Exit

EXTRA = "run pip install 'cloche[compare]', or in a checkout .venv/bin/pip install -e '.[compare]'"
Image = Callable[[BinaryIO, Path], AbstractContextManager[Sequence[Source]]]


def read_output(path: Path, limits: Limits = LIMITS, watch: Watch = lambda *_: None) -> list[Tree]:
    """Read a tarball, a directory or an image. Raises ClocheError, OSError."""
    with opened(path) as sources:
        return [_read(path, source, limits, watch) for source in sources]


def read_layers(
    layers: Sequence[Path], name: str, limits: Limits = LIMITS, watch: Watch = lambda *_: None
) -> list[Tree]:
    """Read the root that layers make, the bottom first. Raises ClocheError, OSError."""
    source = Source("", "machine", lambda: trees.names_of(layers))
    return [_read(name, source, limits, watch)]


def _read(path: object, source: Source, limits: Limits, watch: Watch) -> Tree:
    where = f"{path}: {source.name}" if source.name else path
    reader = Reader(where, limits, watch)
    for member, read in source.names():
        reader.add(member, read)
    return Tree(source.name, source.kind, reader.finished(source.opened), source.about)


@contextmanager
def opened(path: Path) -> Iterator[Sequence[Source]]:
    """The trees of an output, to be read within the block. Raises ClocheError, OSError."""
    mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        yield [Source("", "directory", lambda: trees.names_of([path]))]
        return
    if not stat.S_ISREG(mode):
        raise ClocheError(
            "not a file or directory", where=path, todo="name a tarball, an image or a directory"
        )
    with ExitStack() as stack:
        file = stack.enter_context(path.open("rb"))
        head = os.pread(file.fileno(), forms.HEAD, 0)
        if (image := _image(head)) is not None:
            yield stack.enter_context(image(file, path))
        else:
            yield [Source("", "tarball", lambda: trees.names_of_tarball(path))]


def _image(head: bytes) -> Image | None:
    """The function that opens an image with these first bytes; None if they are not an image's.

    The libraries for images are an extra, and are loaded only where one is read.
    """
    if forms.is_tarball(head):
        return None
    try:
        if forms.is_iso(head):
            from cloche.comparison.iso import opened_iso

            return opened_iso
        if forms.is_disk(head):
            from cloche.comparison.disks import opened_disk

            return opened_disk
        if forms.filesystem(head) is not None:
            from cloche.comparison.disks import opened_filesystem

            return opened_filesystem
    except ModuleNotFoundError as error:
        what = f"reading an image needs the Python package {error.name}"
        raise ClocheError(what, todo=EXTRA, status=Exit.HOST) from error
    return None
