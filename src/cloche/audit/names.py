"""Which files of a root name something: a word in their content, their path or a link's target.

It shows that nothing of another system is left in a root that was grown on it. Each file is read
once, in pieces, whatever its size. Content is searched as it lies in the file: what is compressed
stays hidden.
"""

from __future__ import annotations

import errno
import os
import stat
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from cloche.audit.elf import MAGIC, Section, read_sections
from cloche.errors import ClocheError
from cloche.layers import Layer, merged
from cloche.layers.merge import Node

#: Documentation, which is not searched.
DOCUMENTATION = tuple(f"usr/share/{name}/" for name in ("doc", "info", "locale", "man"))

_CHUNK = 1 << 20  # bytes
_START = 8192  # bytes: a file without a NUL among the first ones is text, as for git and grep
_PLACES = 5  # of a file that are kept


@dataclass(frozen=True, slots=True, order=True)
class Named:
    """A file, link or directory that has the word, with its package (or what its layer is for).

    ``places`` are the first ones: "path", "target" (of a link), a section of an ELF file
    (".comment"), "line 7" of a text, "byte 4096" of all else. ``more`` counts the others.
    """

    package: str
    path: str
    places: tuple[str, ...]
    more: int = 0


@dataclass(frozen=True, slots=True)
class Names:
    """The files that have a word. ``excepted`` are those that an exception allows.

    ``unused`` are the exceptions that no file with the word needs.
    """

    word: str
    found: tuple[Named, ...]
    excepted: tuple[Named, ...] = ()
    unused: tuple[str, ...] = ()


def find_names(layers: Sequence[Layer], word: str, allowed: Iterable[str] = ()) -> Names:
    """Search the root that layers make, the bottom first, for a word in ASCII of any case.

    ``allowed`` are exceptions: paths with wildcards, of which ``*`` matches slashes as well. Raises
    ClocheError for a word that cannot be sought, and OSError.
    """
    if not word or not word.isascii() or not word.isprintable():
        raise ClocheError(
            f"{word!r} cannot be sought: only ASCII can",
            where="--names",
            todo="name a word of printable ASCII characters",
        )
    return _sorted_out(word, tuple(sorted(_named(layers, word.lower().encode()))), tuple(allowed))


def _sorted_out(word: str, named: Sequence[Named], allowed: Sequence[str]) -> Names:
    used: set[str] = set()
    found: list[Named] = []
    excepted: list[Named] = []
    for each in named:
        fitting = [pattern for pattern in allowed if fnmatchcase(each.path, pattern)]
        used.update(fitting)
        (excepted if fitting else found).append(each)
    unused = tuple(pattern for pattern in allowed if pattern not in used)
    return Names(word, tuple(found), tuple(excepted), unused)


def _named(layers: Sequence[Layer], word: bytes) -> Iterator[Named]:
    label = {os.fsencode(layer.path): layer.label for layer in layers}
    linked: dict[tuple[int, int], _Places] = {}
    for node in merged([layer.path for layer in layers]).walk():
        path = os.fsdecode(node.path)
        if f"{path}/".startswith(DOCUMENTATION):
            continue
        places = _Places()
        if word in node.path.lower():
            places.add("path")
        if stat.S_ISLNK(node.info.st_mode):
            target = os.readlink(node.origin)  # noqa: PTH115 - bytes
            if word in target.lower():
                places.add("target")
        if stat.S_ISREG(node.info.st_mode):
            places.extend(_of_content(node, word, linked))
        if places.first:
            layer = node.origin.removesuffix(node.path).rstrip(b"/")
            yield Named(label[layer], f"/{path}", tuple(places.first), places.more)


class _Places:
    """Places in the order of a file, each once, the first ones kept and the others counted."""

    def __init__(self) -> None:
        self.first: list[str] = []
        self.more = 0
        self._last = ""

    def add(self, place: str) -> None:
        if place == self._last or place in self.first:
            return
        self._last = place
        if len(self.first) < _PLACES:
            self.first.append(place)
        else:
            self.more += 1

    def extend(self, other: _Places) -> None:
        for place in other.first:
            self.add(place)
        self.more += other.more


def _of_content(node: Node, word: bytes, linked: dict[tuple[int, int], _Places]) -> _Places:
    """The places in a file; one with several names is read once."""
    inode = (node.info.st_dev, node.info.st_ino)
    if (known := linked.get(inode)) is not None:
        return known
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    fd = os.open(node.origin, flags)
    try:
        places = _searched(fd, word)
    finally:
        os.close(fd)
    if node.info.st_nlink > 1:
        linked[inode] = places
    return places


def _searched(fd: int, word: bytes) -> _Places:
    places = _Places()
    start = os.pread(fd, _START, 0)
    text = b"\0" not in start
    sections: tuple[Section, ...] | None = None
    for offset, line in _occurrences(fd, word, lines=text):
        if text:
            places.add(f"line {line}")
            continue
        if sections is None:
            sections = _sections(fd) if start.startswith(MAGIC) else ()
        places.add(_section(sections, offset) or f"byte {offset}")
    return places


def _occurrences(fd: int, word: bytes, *, lines: bool) -> Iterator[tuple[int, int]]:
    """Where a file has a word: the offset, and the number of its line, from 1, if asked for."""
    line = 1
    for begin, end in _extents(fd):  # no word lies across a hole, and no line ends in one
        at, kept = begin, b""
        while at < end and (read := os.pread(fd, min(_CHUNK, end - at), at)):
            at += len(read)
            data = (kept + read).lower()
            base, seen, next_ = at - len(data), 0, 0
            while (hit := data.find(word, next_)) >= 0:
                if lines:
                    line, seen = line + data.count(b"\n", seen, hit), hit
                yield base + hit, line
                next_ = hit + len(word)
            # A word may lie across two pieces; what was found already is not found again.
            rest = max(next_, len(data) - len(word) + 1)
            if lines:
                line += data.count(b"\n", seen, rest)
            kept = data[rest:]


def _extents(fd: int) -> Iterator[tuple[int, int]]:
    """The parts of a file that have data (lseek(2)): a hole may be larger than any disk."""
    at, size = 0, os.fstat(fd).st_size
    while at < size:
        try:
            begin = os.lseek(fd, at, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # the rest is a hole
                return
            raise
        at = os.lseek(fd, begin, os.SEEK_HOLE)
        yield begin, at


def _sections(fd: int) -> tuple[Section, ...]:
    with open(fd, "rb", closefd=False) as file:
        return read_sections(file)


def _section(sections: Sequence[Section], offset: int) -> str:
    """The name of the section that an offset lies in; empty where it is in none."""
    at = bisect_right(sections, offset, key=lambda each: each.offset) - 1
    each = sections[at] if at >= 0 else None
    return each.name if each is not None and offset < each.offset + each.size else ""
