"""The interface between what reads an output and what takes stock of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from cloche.archives.tarformat import Member, Read

Names = Iterator[tuple[Member, Read]]


@dataclass(frozen=True, slots=True)
class Source:
    """A tree of an output, not read yet: see `comparison.Tree`.

    ``names`` yields each name with a function that reads its content, which is used before the next
    name. ``opened`` are the names of the images that are sources of their own.
    """

    name: str
    kind: str
    names: Callable[[], Names]
    about: Mapping[str, str] = field(default_factory=dict)
    opened: frozenset[str] = frozenset()
