"""ISO images (ECMA-119, with Rock Ridge), read by pycdlib, and the file systems in their files."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

from dissect.util.stream import RangeStream
from pycdlib import PyCdlib

from cloche.archives.tarformat import Member, nothing
from cloche.comparison import forms
from cloche.comparison.disks import filesystem_source
from cloche.comparison.guard import Metered, guarded, reading
from cloche.comparison.inventory import LIMITS
from cloche.comparison.source import Names, Source

_INSIDE = 16  # images in one image
_TYPES = {stat.S_IFDIR: "directory", stat.S_IFREG: "file", stat.S_IFLNK: "symlink"}


@contextmanager
def opened_iso(file: BinaryIO, path: Path) -> Iterator[Sequence[Source]]:
    """An ISO image, and the file systems in its files. Raises `ClocheError`."""
    iso = PyCdlib()
    with ExitStack() as stack:
        with guarded(path):
            image = cast(IO[bytes], Metered(file, path))
            iso.open_fp(image)
            stack.callback(iso.close)
            label = iso.pvd.volume_identifier.decode("utf-8", "backslashreplace").strip()
            records = list(_records(iso))
            inside = list(_inside(iso, image, records, path))
        opened = frozenset(source.name for source in inside)
        yield [
            Source("", "ISO", lambda: _names(iso, records, path), {"label": label}, opened),
            *inside,
        ]


def _way(iso: Any) -> str:
    """The keyword by which pycdlib takes a path: names of Rock Ridge if the image has them."""
    return "rr_path" if iso.has_rock_ridge() else "iso_path"


def _records(iso: Any) -> Iterator[tuple[str, Any]]:
    """All names, each with its record. The record of the root is its entry "."."""
    way = _way(iso)
    waiting = ["/"]
    seen = 0
    while waiting:
        directory = waiting.pop()
        for record in iso.list_children(**{way: directory}):
            if record is not None and record.is_dot() and directory == "/":
                yield "/", record
            if record is None or record.is_dot() or record.is_dotdot():
                continue
            name = _own_name(record, way)
            seen += 1
            if seen > LIMITS.entries:
                raise ValueError(f"more than {LIMITS.entries} names")
            if directory.count("/") > LIMITS.depth:
                raise RecursionError
            path = f"{directory.rstrip('/')}/{name}"
            yield path, record
            if record.is_dir():
                waiting.append(path)


def _own_name(record: Any, way: str) -> str:
    raw = record.rock_ridge.name() if way == "rr_path" else record.file_identifier()
    name: str = raw.decode("utf-8", "surrogateescape")
    if not name or "/" in name:
        raise ValueError(f"invalid name {name!r}")
    return name


def _names(iso: Any, records: Sequence[tuple[str, Any]], path: Path) -> Names:
    way = _way(iso)
    for name, record in records:
        with guarded(path):
            member = _member(name, record)
        if member.type == "file" and member.size:
            with iso.open_file_from_iso(**{way: name}) as file:
                yield member, reading(path, file.read)
        else:
            yield member, nothing


def _member(name: str, record: Any) -> Member:
    ridge = record.rock_ridge
    mode, owner, target = (0o755 if record.is_dir() else 0o644), (0, 0), b""
    kind = "directory" if record.is_dir() else "file"
    if ridge is not None:
        attributes = ridge.dr_entries.px_record or ridge.ce_entries.px_record
        if attributes is not None:
            mode = stat.S_IMODE(attributes.posix_file_mode)
            owner = attributes.posix_user_id, attributes.posix_group_id
            kind = _TYPES.get(stat.S_IFMT(attributes.posix_file_mode), kind)
        if ridge.is_symlink():
            kind, target = "symlink", ridge.symlink_path()
    return Member(
        name=name.lstrip("/").encode("utf-8", "surrogateescape") or b".",
        type=kind,
        mode=mode,
        uid=owner[0],
        gid=owner[1],
        mtime_ns=0,
        size=record.get_data_length() if kind == "file" and not _is_catalog(record) else 0,
        target=target,
    )


def _is_catalog(record: Any) -> bool:
    """Whether a file is El Torito's boot catalog.

    It holds places in the image, as boot records do, and pycdlib does not read it as a file.
    """
    return record.is_file() and record.inode is None


def _inside(
    iso: Any, image: IO[bytes], records: Sequence[tuple[str, Any]], path: Path
) -> Iterator[Source]:
    """The file systems in files: the system of a live CD, the EFI partition."""
    way = _way(iso)
    found = 0
    for name, record in records:
        if not record.is_file() or not record.get_data_length() or _is_catalog(record):
            continue
        if record.rock_ridge is not None and record.rock_ridge.is_symlink():
            continue
        with iso.open_file_from_iso(**{way: name}) as file:
            head, size = file.read(forms.HEAD), file.seek(0, os.SEEK_END)
            file.seek(0)
            start = image.tell()
        if forms.filesystem(head) is not None and found < _INSIDE:
            found += 1
            yield filesystem_source(name.lstrip("/"), RangeStream(image, start, size), path)
