"""A small tree of files as plain data: relative path to content."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Symlink:
    """A symbolic link with its target as text."""

    target: str


Content = bytes | Symlink
