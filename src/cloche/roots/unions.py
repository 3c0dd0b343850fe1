"""Unions: the layers that many roots share, merged into one and kept in the store.

A union is one layer that is equivalent to several (`algebra.merge_layers`), made of hard links to
their files. It costs directories and a little time, can be dropped when it is not in use, and is
only used as the lower of an overlay: it shares its files with the layers, so it is read-only.

The bottom of a stack stays apart: a seed is as large as hundreds of packages, and a single layer.
The two numbers here come from the measurements in `docs/layers.md`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Container, Sequence
from pathlib import Path

from cloche.layers.algebra import merge_layers
from cloche.layers.layer import Layer
from cloche.store import Store, add_union, known_unions, use_union

BORDER = 150
"""Layers: the tallest stack that is mounted without a union."""

TAIL = 30
"""Layers that stay above a new union: the next stacks differ in their topmost ones."""


def keys(ids: Sequence[str], at: str = "") -> list[str]:
    """For each prefix of a sequence of layers, the key of its union below a directory ``at``."""
    digest = hashlib.sha256(b"cloche union 1\n")
    if at:
        digest.update(f"at {at}\n".encode())
    found = []
    for id in ids:
        digest.update(f"{id}\n".encode())
        found.append(digest.hexdigest())
    return found


def shared(
    ids: Sequence[str],
    known: Container[str],
    *,
    border: int = BORDER,
    tail: int = TAIL,
    at: str = "",
) -> int:
    """How many of the layers ``ids`` (the bottom first) to merge into one; 0 for none.

    None up to ``border`` layers. Beyond it, the longest prefix that has a union (``known`` are
    their keys), if at most ``border`` layers remain; otherwise all but the topmost ``tail``. A pure
    function.
    """
    if len(ids) <= border:
        return 0
    there = keys(ids, at)
    for count in range(len(ids), 1, -1):
        if len(ids) - count + 1 > border:
            break
        if there[count - 1] in known:
            return count
    return len(ids) - tail


def lowers(
    store: Store,
    bottom: Sequence[Layer],
    layers: Sequence[Layer],
    *,
    border: int = BORDER,
    tail: int = TAIL,
    at: str = "",
) -> tuple[Path, ...]:
    """A bounded number of directories for a root of ``bottom`` and any number of ``layers``.

    With ``at``, a relative path, the layers appear below that directory of the root instead of at
    its top, as linked trees of the store: overlayfs knows no other way. A layer that comes twice is
    only in its upper place, where it hides all that it would do below; overlayfs refuses it twice.

    Makes a union if there is none yet; other processes that need the same one wait for it. Raises
    OSError.
    """
    ids = [layer.id for layer in layers]
    known = known_unions(store) if len(ids) > border else ()
    count = shared(ids, known, border=border, tail=tail, at=at)
    union = [_union(store, layers[:count], at)] if count else []
    above = (_union(store, [layer], at) if at else layer.path for layer in layers[count:])
    found = (*(layer.path for layer in bottom), *union, *above)
    return tuple(reversed(dict.fromkeys(reversed(found))))


def _union(store: Store, layers: Sequence[Layer], at: str) -> Path:
    ids = [layer.id for layer in layers]
    key = keys(ids, at)[-1]
    with store.lock(f"union-{key}"):
        there = use_union(store, key)
        if there is None:
            with store.workspace("union") as room:
                tree = room / "union" / "tree" / at
                tree.parent.mkdir(0o755, parents=True)
                merge_layers([layer.path for layer in layers], tree)
                there = add_union(store, room / "union", key, ids)
    return there
