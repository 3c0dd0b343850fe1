"""Reads what an ELF file needs to start: interpreter, libraries, where it looks for them.

Program headers and the dynamic segment are read as the kernel and ld.so do (elf(5)). They ignore
sections, which only say what a place in the file belongs to. Portage's NEEDED.ELF.2 has no
interpreters and no files of hooks, and every file has to be opened for its ``#!`` line anyway.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO

MAGIC = b"\x7fELF"
_EXECUTABLE, _SHARED = 2, 3  # ET_EXEC, ET_DYN
_LOAD, _DYNAMIC, _INTERP = 1, 2, 3  # PT_*
_NOBITS = 8  # SHT_*: a section without content in the file
_NULL, _NEEDED, _STRTAB, _SONAME, _RPATH, _RUNPATH = 0, 1, 5, 14, 15, 29  # DT_*
_VERNEED, _VERNEEDNUM = 0x6FFFFFFE, 0x6FFFFFFF  # DT_*

# Far beyond what a linker writes: a file must not decide how much is read of it.
_HEADERS = 512
_ENTRIES = 16384
_STRINGS = 4096
_LONGEST = 4096  # bytes, PATH_MAX
_SECTIONS = 65536
_NAMES = 1 << 22  # bytes of the names of all sections
_NAME = 128  # bytes of one


@dataclass(frozen=True, slots=True)
class Elf:
    """A program or a shared library.

    ``machine`` is its e_machine, ``bits`` 32 or 64. ``interpreter`` and ``soname`` are empty
    without one. ``runpath`` are the directories of DT_RUNPATH, or of DT_RPATH where there is none.
    """

    bits: int
    machine: int
    interpreter: str = ""
    soname: str = ""
    needed: tuple[str, ...] = ()
    runpath: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Section:
    """A section with content: from ``offset`` on, ``size`` bytes of the file."""

    offset: int
    size: int
    name: str


@dataclass(frozen=True, slots=True)
class _Header:
    """``order`` is struct's word for the order of bytes; tables are offset, entry size, count."""

    bits: int
    order: str
    type: int
    machine: int
    segments: tuple[int, int, int]
    sections: tuple[int, int, int]
    names: int  # the number of the section with the names of all


@dataclass(frozen=True, slots=True)
class _Segment:
    type: int
    offset: int
    address: int
    size: int


class _BadElfError(Exception):
    """The file is truncated, or its headers contradict each other."""


def read_elf(file: BinaryIO) -> Elf | None:
    """Read an open file. None for one that neither the kernel nor ld.so loads. Raises OSError."""
    try:
        return _read(file)
    except _BadElfError:
        return None


def read_sections(file: BinaryIO) -> tuple[Section, ...]:
    """The sections of an ELF file of any type, in the order of their offsets.

    None of a file that is not one, is damaged or was stripped of them. Raises OSError.
    """
    try:
        header = _header(file)
        return tuple(_sections(file, header)) if header is not None else ()
    except _BadElfError:
        return ()


def _header(file: BinaryIO) -> _Header | None:
    ident = _at(file, 0, 16)
    if ident[:4] != MAGIC or ident[4] not in (1, 2) or ident[5] not in (1, 2):
        return None
    bits, order = 32 * ident[4], "<" if ident[5] == 1 else ">"
    form = struct.Struct(order + ("HHIIIIIHHHHHH" if bits == 32 else "HHIQQQIHHHHHH"))
    type_, machine, _, _, segments, sections, _, _, *sizes = form.unpack(_at(file, 16, form.size))
    return _Header(
        bits, order, type_, machine, (segments, *sizes[:2]), (sections, *sizes[2:4]), sizes[4]
    )


def _sections(file: BinaryIO, header: _Header) -> Iterator[Section]:
    form = struct.Struct(header.order + ("IIIIIIIIII" if header.bits == 32 else "IIQQQQIIQQ"))
    table, entry, count = header.sections
    if not count or count > _SECTIONS or entry != form.size:
        return
    whole = list(form.iter_unpack(_at(file, table, count * form.size)))
    if header.names >= count:
        return
    names = _at(file, whole[header.names][4], min(whole[header.names][5], _NAMES))
    for name, type_, _, _, offset, size, *_ in sorted(whole, key=lambda each: (each[4], each[5])):
        if size and type_ != _NOBITS:
            text = names[name : name + _NAME].partition(b"\0")[0]
            yield Section(offset, size, os.fsdecode(text))


def _read(file: BinaryIO) -> Elf | None:
    header = _header(file)
    if header is None or header.type not in (_EXECUTABLE, _SHARED):
        return None
    bits, order, machine = header.bits, header.order, header.machine
    segments = list(_segments(file, order, bits, *header.segments))
    interpreter = ""
    for segment in segments:
        if segment.type == _INTERP:
            interpreter = _text(_at(file, segment.offset, min(segment.size, _LONGEST)))
    strings = _dynamic(file, order, bits, segments)
    paths = strings.get(_RUNPATH) or strings.get(_RPATH) or []
    return Elf(
        bits,
        machine,
        interpreter,
        next(iter(strings.get(_SONAME, ())), ""),
        tuple(strings.get(_NEEDED, ())),
        tuple(part for path in paths for part in path.split(":") if part),
    )


def _segments(
    file: BinaryIO, order: str, bits: int, table: int, size: int, count: int
) -> Iterator[_Segment]:
    form = struct.Struct(order + ("IIIIIIII" if bits == 32 else "IIQQQQQQ"))
    if count > _HEADERS or (count and size < form.size):
        raise _BadElfError
    for number in range(count):
        fields = form.unpack(_at(file, table + number * size, form.size))
        if bits == 32:
            type_, offset, address, _, in_file, *_ = fields
        else:
            type_, _, offset, address, _, in_file, *_ = fields
        yield _Segment(type_, offset, address, in_file)


def _dynamic(
    file: BinaryIO, order: str, bits: int, segments: Sequence[_Segment]
) -> Mapping[int, list[str]]:
    """The strings of the dynamic segment, by tag."""
    segment = next((each for each in segments if each.type == _DYNAMIC), None)
    if segment is None:
        return {}
    form = struct.Struct(order + ("iI" if bits == 32 else "qQ"))
    whole = _at(file, segment.offset, min(segment.size, form.size * _ENTRIES))
    strings: list[tuple[int, int]] = []
    table = None
    for tag, value in form.iter_unpack(whole[: len(whole) // form.size * form.size]):
        if tag == _NULL:
            break
        if tag == _STRTAB:
            table = _offset(segments, value)
        elif tag in (_NEEDED, _SONAME, _RPATH, _RUNPATH):
            strings.append((tag, value))
    if not strings:
        return {}
    if table is None or len(strings) > _STRINGS:
        raise _BadElfError
    found: dict[int, list[str]] = {}
    for tag, value in strings:
        text = _text(_at(file, table + value, _LONGEST, short=True))
        found.setdefault(tag, []).append(text)
    return found


def _offset(segments: Sequence[_Segment], address: int) -> int:
    """Where in the file an address lies."""
    for segment in segments:
        if segment.type == _LOAD and 0 <= address - segment.address < segment.size:
            return segment.offset + address - segment.address
    raise _BadElfError


def _at(file: BinaryIO, offset: int, size: int, *, short: bool = False) -> bytes:
    try:
        file.seek(offset)
    except (OverflowError, ValueError, OSError) as error:  # beyond what a file can have
        raise _BadElfError from error
    data = file.read(size)
    if not data or (len(data) < size and not short):
        raise _BadElfError
    return data


def _text(data: bytes) -> str:
    text, end, _ = data.partition(b"\0")
    if not end:
        raise _BadElfError
    return os.fsdecode(text)


def needed_versions(file: BinaryIO) -> frozenset[str]:
    """The versions of symbols that an ELF file needs of its libraries, such as ``GLIBC_2.34``.

    Empty for any other file, and for one that is truncated.
    """
    try:
        header = _header(file)
        return frozenset(_versions(file, header)) if header is not None else frozenset()
    except (_BadElfError, struct.error):
        return frozenset()


def _versions(file: BinaryIO, header: _Header) -> Iterator[str]:
    """Walk the records of DT_VERNEED: of each library, the versions that are needed of it."""
    bits, order = header.bits, header.order
    segments = list(_segments(file, order, bits, *header.segments))
    dynamic = next((each for each in segments if each.type == _DYNAMIC), None)
    if dynamic is None:
        return
    form = struct.Struct(order + ("iI" if bits == 32 else "qQ"))
    whole = _at(file, dynamic.offset, min(dynamic.size, form.size * _ENTRIES))
    tags = dict(form.iter_unpack(whole[: len(whole) // form.size * form.size]))
    if not tags.keys() >= {_STRTAB, _VERNEED, _VERNEEDNUM} or tags[_VERNEEDNUM] > _STRINGS:
        return
    strings, place = _offset(segments, tags[_STRTAB]), _offset(segments, tags[_VERNEED])
    library, version = struct.Struct(order + "HHIII"), struct.Struct(order + "IHHII")
    for _ in range(tags[_VERNEEDNUM]):
        _, count, _, first, further = library.unpack(_at(file, place, library.size))
        at = place + first
        for _ in range(min(count, _STRINGS)):
            _, _, _, name, after = version.unpack(_at(file, at, version.size))
            yield _text(_at(file, strings + name, _LONGEST, short=True))
            at += after
        place += further
