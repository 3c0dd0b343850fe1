"""What the index knows, as plain data."""

from __future__ import annotations

import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Tree:
    """A stored tree. ``exact`` is its `exact_digest`, ``size`` is in bytes of content.

    ``kind`` and ``label`` are the words of the first who added it ("package", "app-misc/jq-1.8.1");
    ``files`` counts the names that are not directories; ``created`` is in seconds of the epoch.
    """

    id: str
    kind: str
    label: str
    exact: str
    files: int
    size: int
    created: float
    path: Path


@dataclass(frozen=True, slots=True)
class Blob:
    """A stored file; ``id`` is the SHA-256 of its content, ``size`` in bytes."""

    id: str
    label: str
    size: int
    created: float
    path: Path

    @property
    def is_whole(self) -> bool:
        """Whether the file is there and has its size.

        Outputs are hard links to it, so root may have overwritten it. `cloche store verify` checks
        the content.
        """
        try:
            seen = self.path.lstat()
        except OSError:
            return False
        return stat.S_ISREG(seen.st_mode) and seen.st_size == self.size


@dataclass(frozen=True, slots=True)
class Action:
    """A step that was done: equal keys mean that it need not be done again.

    ``parts`` are what the key was made of, by name, kept to answer "why was this rebuilt".
    ``outputs`` name the ids of trees and blobs. ``log`` is relative to the store's ``logs``;
    ``created`` is in seconds of the epoch. ``data`` is the caller's own, in types that JSON knows.
    """

    key: str
    kind: str
    name: str
    parts: Mapping[str, str]
    outputs: Mapping[str, str]
    seconds: float
    log: str | None
    created: float
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pin:
    """A root of garbage collection: trees and blobs that ``name`` needs, and data of its own."""

    name: str
    trees: tuple[str, ...]
    blobs: tuple[str, ...]
    data: Mapping[str, Any]
    created: float


@dataclass(frozen=True, slots=True)
class Intent:
    """What was begun with a "layer" or "blob" (``noun``): "placing" or "removing" (``act``)."""

    noun: str
    id: str
    act: str
