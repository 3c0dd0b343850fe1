"""What one tree holds: its names with attributes and digests, and its packages.

A tree is read once, as a stream. Content is hashed and discarded, except for the texts that are
compared line by line (`content.TEXTS`) and the records of packages.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from cloche.archives import Limits
from cloche.archives.errors import ImportRefusedError, over_limit
from cloche.archives.tarformat import Member, Read
from cloche.audit.elf import Elf
from cloche.comparison.content import TEXTS, Content, content_of
from cloche.comparison.packages import Package, Records, owners

LIMITS = Limits(bytes=16 << 30, entries=1_000_000)
_TEXTS = 64 << 20  # bytes of all texts that are kept of a tree
Watch = Callable[[int, int], None]
"""Called with the bytes and the names that are read, while a tree is read."""


@dataclass(frozen=True, slots=True)
class Item:
    """A name in a tree. Types are those of `archives.tarformat.Member`, and "partition".

    ``digest`` is the SHA-256 of a file's content, ``plain`` that of the content without its noise,
    of the kind ``noise``; without noise they are equal. ``text`` is the content if it is kept.
    ``twin`` is the first name of the same file if it has several.
    """

    type: str
    mode: int
    uid: int
    gid: int
    size: int = 0
    target: str = ""
    device: tuple[int, int] = (0, 0)
    xattrs: tuple[tuple[bytes, bytes], ...] = ()
    digest: bytes = b""
    plain: bytes = b""
    noise: str = ""
    elf: Elf | None = None
    text: bytes | None = None
    twin: str = ""


@dataclass(frozen=True, slots=True)
class Inventory:
    """A tree that was read: names without a leading slash; the root's name is "".

    The keys of ``packages`` are category, name and slot. ``owners`` maps names, also those of
    records, to the keys of the packages that own them. ``opened`` are the names of images that are
    trees themselves.
    """

    items: Mapping[str, Item]
    packages: Mapping[str, Package] = field(default_factory=dict)
    owners: Mapping[str, str] = field(default_factory=dict)
    opened: frozenset[str] = frozenset()

    @property
    def size(self) -> int:
        """Bytes of content; a file with several names counts once."""
        return sum(item.size for name, item in self.items.items() if item.twin in ("", name))


class Reader:
    """Reads the names of one tree."""

    def __init__(self, source: object, limits: Limits, watch: Watch) -> None:
        self._source = os.fspath(source) if isinstance(source, os.PathLike) else str(source)
        self._limits, self._watch = limits, watch
        self._items: dict[str, Item] = {}
        self._links: dict[str, set[str]] = {}
        self._records = Records()
        self._bytes = self._names = self._kept = 0

    def add(self, member: Member, read: Read) -> None:
        """Read one name. Raises `ImportRefusedError`, OSError."""
        self._names += 1
        self._limit("entries", self._names, member.name)
        self._watch(self._bytes, self._names)
        name = self._name(member.name, member.name)
        if member.type == "link":
            self._link(name, member)
            return
        found = Content()
        if member.type in ("file", "partition"):
            found = content_of(name, self._counted(member.name, read))
            if found.size != member.size:
                what = f"corrupt or truncated: {found.size} of {member.size} bytes"
                raise self._refused(member.name, what)
            self._records.add(name, found.text)
        self._items[name] = Item(
            member.type,
            member.mode,
            member.uid,
            member.gid,
            found.size,
            os.fsdecode(member.target),
            member.device,
            member.xattrs,
            found.digest,
            found.plain,
            found.noise,
            found.elf,
            self._text(name, found.text),
        )
        if (
            group := self._links.pop(name, None)
        ) is not None:  # this member replaces an earlier one
            group.discard(name)

    def finished(self, opened: Iterable[str] = ()) -> Inventory:
        """The whole tree."""
        items = self._items
        for names in {id(group): group for group in self._links.values()}.values():
            group = sorted(names & items.keys())
            for name in group if len(group) > 1 else ():
                items[name] = replace(items[name], twin=group[0])
        packages = self._records.packages()
        return Inventory(items, packages, owners(packages, items), frozenset(opened))

    def _link(self, name: str, member: Member) -> None:
        """Add another name of a file that was read before."""
        target = self._name(member.target, member.name)
        if target not in self._items:
            what = f"the target of the link, {os.fsdecode(member.target)[:200]}, does not exist"
            raise self._refused(member.name, what)
        self._items[name] = self._items[target]
        group = self._links.setdefault(target, {target})
        group.add(name)
        self._links[name] = group

    def _text(self, name: str, text: bytes | None) -> bytes | None:
        """The text if it is to be kept and `_TEXTS` is not reached."""
        if text is None or not name.startswith(TEXTS) or self._kept + len(text) > _TEXTS:
            return None
        self._kept += len(text)
        return text

    def _counted(self, name: bytes, read: Read) -> Read:
        def counted(size: int) -> bytes:
            data = read(size)
            self._bytes += len(data)
            self._limit("bytes", self._bytes, name)
            self._watch(self._bytes, self._names)
            return data

        return counted

    def _name(self, path: bytes, name: bytes) -> str:
        """A name without empty components and dots. It must not lead out of the tree."""
        parts = [part for part in path.split(b"/") if part not in (b"", b".")]
        if not path or b"\0" in path or path.startswith(b"/") or b".." in parts:
            raise self._refused(name, "the name is invalid or leads out of the tree")
        self._limit("path", len(path), name)
        return os.fsdecode(b"/".join(parts))

    def _limit(self, limit: str, found: int, name: bytes) -> None:
        allowed = getattr(self._limits, limit)
        if found > allowed:
            raise over_limit(self._source, name, limit, found, allowed)

    def _refused(self, name: bytes, what: str) -> ImportRefusedError:
        return ImportRefusedError(self._source, name, what)
