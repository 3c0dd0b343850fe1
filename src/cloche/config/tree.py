"""A small tree of files as plain data: relative path to content. Pure; nothing touches a disk."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Symlink:
    """A symbolic link with its target as text."""

    target: str


Content = bytes | Symlink
Tree = Mapping[str, Content]


def tree_digest(tree: Tree) -> str:
    """SHA-256 (hex) over names, kinds and contents, the same in whatever order they were put in."""
    digest = hashlib.sha256(b"cloche tree 1\0")
    for name in sorted(tree):
        content = tree[name]
        kind, data = (
            (b"l", content.target.encode()) if isinstance(content, Symlink) else (b"f", content)
        )
        encoded = name.encode()
        # Lengths first, so that no two trees share one stream of bytes.
        digest.update(b"%b %d %d\0" % (kind, len(encoded), len(data)))
        digest.update(encoded)
        digest.update(data)
    return digest.hexdigest()
