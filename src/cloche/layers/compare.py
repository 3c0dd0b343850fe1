"""Compares two trees, or two stacks of layers. Times do not count."""

# Names are bytes here, which pathlib does not know.
# ruff: noqa: PTH115

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cloche.layers.identity import Normaliser, Rules, normaliser
from cloche.layers.merge import Merged, Node, is_whiteout, listing, open_node, same_bytes
from cloche.layers.patterns import matcher
from cloche.layers.xattrtext import xattr_text
from cloche.store.tree import OPAQUE, read_xattrs

What = Literal["type", "mode", "owner", "device", "xattr", "content", "target", "links"]
"""In which respect two names differ; "links" means that they share inodes with other names."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One respect in which ``path`` differs; ``a`` and ``b`` say how, and may be empty."""

    path: str
    what: What
    a: str = ""
    b: str = ""

    def __str__(self) -> str:
        """One line for the reader."""
        values = f": {self.a} | {self.b}" if self.a or self.b else ""
        return printable(f"{self.path or '.'}: {self.what}{values}")


@dataclass(frozen=True, slots=True)
class Comparison:
    """The outcome: names that one side lacks, and differences of those that both have."""

    only_a: tuple[str, ...]
    only_b: tuple[str, ...]
    differ: tuple[Difference, ...]

    @property
    def equal(self) -> bool:
        """True if there is no difference."""
        return not (self.only_a or self.only_b or self.differ)

    def text(self, limit: int = 50) -> str:
        """The first ``limit`` differences, a line each, and how many more there are.

        ``-`` marks names that only the first side has, ``+`` those of the second, ``!`` what
        differs, with both values. Unprintable characters are escaped; ``.`` is the root itself.
        """
        lines = [
            *(f"- {printable(path or '.')}" for path in self.only_a),
            *(f"+ {printable(path or '.')}" for path in self.only_b),
            *(f"! {difference}" for difference in self.differ),
        ]
        more = [f"… and {len(lines) - limit} more"] if len(lines) > limit else []
        return "\n".join(lines[:limit] + more)


def compare(
    a: Path | Sequence[Path],
    b: Path | Sequence[Path],
    *,
    ignore: Iterable[str] = (),
    rules: Rules | None = None,
) -> Comparison:
    """Compare two trees; a sequence of directories is a stack, the bottom first.

    ``ignore`` are patterns of paths (see `patterns`) that are left out with all below them.
    ``rules`` normalise contents as they do for ids. Holes of sparse files count as zeros.
    Raises OSError and `LayerError`.
    """
    left, right = (Merged([side] if isinstance(side, Path) else side) for side in (a, b))
    return _compare(left.walk(), right.walk(), ignore, rules)


def compare_layers(
    a: Path, b: Path, *, ignore: Iterable[str] = (), rules: Rules | None = None
) -> Comparison:
    """Compare two layers as `compare` does trees, with what they hide of those below them.

    A whiteout is an ordinary name; an opaque mark is an extended attribute.
    """
    return _compare(_raw(a), _raw(b), ignore, rules, marks=True)


def _raw(layer: Path) -> Iterator[Node]:
    """All names of a layer, whiteouts too."""
    root = Merged([layer]).root
    directories = [root] if root is not None else []
    while directories:
        directory = directories.pop()
        yield directory
        for path, candidates in listing(directory):
            origin, info = candidates[0]
            if stat.S_ISDIR(info.st_mode):
                directories.append(Node(path, origin, info, (origin,)))
            else:
                yield Node(path, origin, info)


def _compare(
    a: Iterable[Node],
    b: Iterable[Node],
    ignore: Iterable[str],
    rules: Rules | None,
    *,
    marks: bool = False,
) -> Comparison:
    find = normaliser(rules or {})
    ignored = matcher(ignore, below=True)
    left, right = ({node.path: node for node in side if not ignored(node.path)} for side in (a, b))
    differ: list[Difference] = []
    common = sorted(path for path in left if path in right)
    heads_a, heads_b = _heads(left, common), _heads(right, common)
    for path in common:
        differ += differences(left[path], right[path], find(path), marks=marks)
        if heads_a[path] != heads_b[path]:
            names = (os.fsdecode(heads_a[path]), os.fsdecode(heads_b[path]))
            differ.append(Difference(os.fsdecode(path), "links", *names))
    return Comparison(
        only_a=tuple(_only(left, right, find)),
        only_b=tuple(_only(right, left, find)),
        differ=tuple(differ),
    )


def _only(
    mine: dict[bytes, Node], other: dict[bytes, Node], find: Callable[[bytes], Normaliser | None]
) -> Iterator[str]:
    """Names that only one side has, except for files that are only noise."""
    for path, node in sorted(mine.items()):
        if path not in other:
            function = find(path) if stat.S_ISREG(node.info.st_mode) else None
            if function is None or function(_read(node)) is not None:
                yield os.fsdecode(path)


def _heads(nodes: dict[bytes, Node], common: Sequence[bytes]) -> dict[bytes, bytes]:
    """For each of the common paths, the first of them that is the same inode."""
    first: dict[tuple[int, int], bytes] = {}
    heads = {}
    for path in common:
        info = nodes[path].info
        shared = info.st_nlink > 1 and not stat.S_ISDIR(info.st_mode)
        heads[path] = first.setdefault((info.st_dev, info.st_ino), path) if shared else path
    return heads


def differences(
    a: Node, b: Node, function: Normaliser | None = None, *, marks: bool = False
) -> Iterator[Difference]:
    """In what two names differ, sharing of inodes apart; ``marks`` counts opaque ones as well."""
    path = os.fsdecode(a.path)
    mine, other = a.info, b.info
    kind = stat.S_IFMT(mine.st_mode)
    if kind != stat.S_IFMT(other.st_mode) or is_whiteout(mine) != is_whiteout(other):
        yield Difference(path, "type", _type(mine), _type(other))
        return
    if is_whiteout(mine):
        return
    if kind != stat.S_IFLNK and mine.st_mode != other.st_mode:
        yield Difference(
            path, "mode", f"{mine.st_mode & 0o7777:04o}", f"{other.st_mode & 0o7777:04o}"
        )
    if (mine.st_uid, mine.st_gid) != (other.st_uid, other.st_gid):
        owners = (f"{info.st_uid}:{info.st_gid}" for info in (mine, other))
        yield Difference(path, "owner", *owners)
    if kind in (stat.S_IFCHR, stat.S_IFBLK) and mine.st_rdev != other.st_rdev:
        numbers = (f"{os.major(i.st_rdev)}:{os.minor(i.st_rdev)}" for i in (mine, other))
        yield Difference(path, "device", *numbers)
    xattrs = _xattrs(a, marks), _xattrs(b, marks)
    for name in sorted(xattrs[0].keys() | xattrs[1].keys()):
        values = [found.get(name) for found in xattrs]
        if values[0] != values[1]:
            yield Difference(path, "xattr", *(_xattr(name, value) for value in values))
    if kind == stat.S_IFLNK:
        targets = [os.fsdecode(os.readlink(node.origin)) for node in (a, b)]
        if targets[0] != targets[1]:
            yield Difference(path, "target", *targets)
    if kind == stat.S_IFREG and not _same_content(a, b, function):
        sizes = (f"size {info.st_size}" for info in (mine, other))
        yield Difference(path, "content", *(sizes if mine.st_size != other.st_size else ()))


def _type(info: os.stat_result) -> str:
    return "whiteout" if is_whiteout(info) else stat.filemode(info.st_mode)


def _xattrs(node: Node, marks: bool) -> dict[bytes, bytes]:
    return {name: value for name, value in read_xattrs(node.origin) if marks or name != OPAQUE}


def _xattr(name: bytes, value: bytes | None) -> str:
    """An attribute and its value; nothing where it is not there."""
    return f"{os.fsdecode(name)}={xattr_text(name, value)}" if value is not None else ""


def printable(text: str) -> str:
    """A text as one printable line, as names may be any bytes."""
    text = os.fsencode(text).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _same_content(a: Node, b: Node, function: Normaliser | None) -> bool:
    if (a.info.st_dev, a.info.st_ino) == (b.info.st_dev, b.info.st_ino):
        return True
    if function is not None:
        return function(_read(a)) == function(_read(b))
    if a.info.st_size != b.info.st_size:
        return False
    with open_node(a) as mine, open_node(b) as other:
        return same_bytes(mine, other)


def _read(node: Node) -> bytes:
    with open_node(node) as file:
        return file.read()
