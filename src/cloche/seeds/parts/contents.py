"""What a package owns of a tree, by a VDB's CONTENTS: the lines, and where their paths lie now.

A path in CONTENTS is the one that the ebuild installed to. The tree may have links on the way
there (a merged /usr, ``/usr/tmp``), so the directories above a name are resolved as Portage's
``dblink`` does it, within the tree.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from cloche.store.tree import Entry

_MAX_LINKS = 40  # as the kernel
_ARROW = b" -> "
_KINDS = (b"obj", b"sym", b"dir", b"dev", b"fif")


@dataclass(frozen=True, slots=True)
class Line:
    """A line of CONTENTS: its kind ("obj", "sym", "dir", "dev", "fif") and its path.

    A link's line can be read in several ways where names hold `` -> ``: ``others`` are the pairs of
    path and target that it may mean besides; the last arrow of all, as Portage has it, comes first.
    """

    kind: str
    path: bytes
    target: bytes = b""
    others: tuple[tuple[bytes, bytes], ...] = ()


def parse_contents(content: bytes) -> Iterator[Line]:
    """The lines of a CONTENTS file; what is none is passed over, as Portage does."""
    for line in content.split(b"\n"):
        kind, _, rest = line.partition(b" ")
        if kind not in _KINDS or not rest.startswith(b"/"):
            continue
        if kind == b"obj":
            yield Line("obj", rest.rsplit(b" ", 2)[0])
        elif kind == b"sym":
            pairs = list(_pairs(rest.rpartition(b" ")[0]))
            if pairs:
                yield Line("sym", *pairs[0], tuple(pairs[1:]))
        else:
            yield Line(kind.decode(), rest)


def _pairs(text: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Every way to read ``PATH -> TARGET``, the last arrow first."""
    end = len(text)
    while (at := text.rfind(_ARROW, 0, end)) > 0:
        yield text[:at], text[at + len(_ARROW) :]
        end = at + len(_ARROW) - 1


class Names:
    """The names of a tree, and where a path of a package leads in it. Reads no disk."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self.entries: Mapping[bytes, Entry] = {entry.path: entry for entry in entries}
        self._real: dict[bytes, bytes | None] = {}

    def real(self, path: bytes) -> bytes | None:
        """A directory's path with all links resolved; None where they lead in a circle."""
        if path not in self._real:
            self._real[path] = self._resolved(path)
        return self._real[path]

    def place(self, path: bytes) -> bytes | None:
        """Where a path lies: the directories above it resolved, its own name as it is."""
        above, _, name = path.strip(b"/").rpartition(b"/")
        real = self.real(above)
        return None if real is None else join(real, name)

    def _resolved(self, path: bytes) -> bytes | None:
        todo, at, links = path.split(b"/")[::-1], b"", 0
        while todo:
            part = todo.pop()
            if part in (b"", b"."):
                continue
            if part == b"..":
                at = above(at)
                continue
            here = join(at, part)
            entry = self.entries.get(here)
            if entry is None or entry.target is None:
                at = here
                continue
            links += 1
            if links > _MAX_LINKS:
                return None
            at = b"" if entry.target.startswith(b"/") else at
            todo += entry.target.split(b"/")[::-1]
        return at

    def owned(self, lines: Iterable[Line]) -> Iterator[bytes]:
        """The names of the tree that these lines mean. What is gone from the tree is left out.

        A file that changed since is still the package's, whatever it is by now. A directory's line
        means the directory that a link in its place leads to, and not the link.
        """
        for line in lines:
            if line.kind == "dir":
                place = self.real(line.path.strip(b"/"))
            elif line.kind == "sym":
                place = self._link(line)
            else:
                place = self.place(line.path)
            if place and place in self.entries:
                yield place

    def _link(self, line: Line) -> bytes | None:
        """The place of a link's line, read such that it is in the tree, if there is a way."""
        first = self.place(line.path)
        for path, target in ((line.path, line.target), *line.others):
            place = self.place(path)
            entry = self.entries.get(place) if place else None
            if entry is not None and entry.target == target:
                return place
        return first


def join(directory: bytes, name: bytes) -> bytes:
    """A path below a directory; b"" is the root."""
    return directory + b"/" + name if directory else name


def above(path: bytes) -> bytes:
    """The directory that a path lies in."""
    return path.rpartition(b"/")[0]
