"""The interface between readers of outputs and the inventory of what they read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from cloche.archives.tarformat import Member, Read

Names = Iterator[tuple[Member, Read]]


@dataclass(frozen=True, slots=True)
class Source:
    """A tree of an output before it is read: see `comparison.Tree`.

    ``names`` yields each name with a function that reads its content, to be called before the next
    name is taken. ``opened`` are the names of images that are sources themselves.
    """

    name: str
    kind: str
    names: Callable[[], Names]
    about: Mapping[str, str] = field(default_factory=dict)
    opened: frozenset[str] = frozenset()
