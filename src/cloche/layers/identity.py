"""The id of a layer: a SHA-256 over a tree's content without noise.

Included: types, modes, owners, device numbers, extended attributes, contents, targets, hard links,
whiteouts and opaque marks. Excluded: times, inode numbers, sizes on disk, the host's own extended
attributes, and what the rules remove. The hashed text is that of `store.tree.record`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from cloche.layers.patterns import matcher
from cloche.store.tree import Entry, read_file, record, walk

Normaliser = Callable[[bytes], bytes | None]
"""Returns a file's content without noise, or None for a file that is only noise."""

Rules = Mapping[str, Normaliser]
"""Patterns of paths (see `patterns`) and their normalisers; the first match counts."""

SOURCE_DATE_EPOCH = 1_700_000_000
"""Seconds: the time stamp of all that cloche makes. Part of tarballs, not of identities."""

_FORMAT = b"cloche layer 1\n"


def normaliser(rules: Rules) -> Callable[[bytes], Normaliser | None]:
    """The function that finds the normaliser of a path."""
    table = [(matcher([pattern]), function) for pattern, function in rules.items()]

    def find(path: bytes) -> Normaliser | None:
        return next((function for matches, function in table if matches(path)), None)

    return find


def normalised(
    entries: Iterable[Entry], rules: Rules, read: Callable[[bytes], bytes]
) -> Iterator[Entry]:
    """Entries as hashed for the id; ``read`` returns the content of a file that has a rule."""
    find = normaliser(rules)
    first: dict[tuple[int, int], bytes] = {}
    for entry in entries:
        seen = entry
        if entry.type == "file" and (function := find(entry.path)) is not None:
            content = function(read(entry.path))
            if content is None:
                continue
            seen = replace(seen, digest=hashlib.sha256(content).hexdigest())
        if entry.whiteout:  # the kernel, fuse-overlayfs and mknod set these differently
            seen = replace(seen, mode=0, uid=0, gid=0, xattrs=())
        if entry.type != "directory" and entry.names > 1 and not entry.whiteout:
            # The first name may have been left out, so links are counted again.
            head = first.setdefault(entry.inode, entry.path)
            seen = replace(seen, link=head if head != entry.path else None)
        elif entry.link is not None:
            seen = replace(seen, link=None)
        yield seen


def layer_id(root: Path, rules: Rules, entries: Sequence[Entry] | None = None) -> str:
    """The id of the tree at ``root``; ``entries`` are its `walk`, if the caller has it already.

    Raises OSError and `store.UnreadableTreeError`.
    """
    digest = hashlib.sha256(_FORMAT)
    listing = walk(root) if entries is None else entries
    for entry in normalised(listing, rules, lambda path: read_file(root, path)):
        digest.update(record(entry))
    return digest.hexdigest()
