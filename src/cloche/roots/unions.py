"""Roots of many layers: the part that many roots share is merged once, and kept in the store.

A union is one layer that does what several do together (`algebra.merge_layers`), made of hard links
to their files. It costs directories and a little time, can be dropped whenever nobody uses it, and
is only ever the lower of an overlay: its files are those of the layers, so nothing may write to it.

The bottom of a stack stays apart: a seed is as large as hundreds of packages, and one layer anyway.
`docs/layers.md` shows the measurements that the two numbers here come from.
"""

from __future__ import annotations

import hashlib
from collections.abc import Container, Sequence
from pathlib import Path

from cloche.layers.algebra import merge_layers
from cloche.layers.layer import Layer
from cloche.store import Store, add_union, known_unions, use_union

BORDER = 150
"""Layers: the tallest stack that is mounted as it is."""

TAIL = 30
"""Layers that stay above a new union: the next stacks differ in their topmost ones."""


def keys(ids: Sequence[str]) -> list[str]:
    """For each beginning of a run of layers, the key of its union."""
    digest = hashlib.sha256(b"cloche union 1\n")
    found = []
    for id in ids:
        digest.update(f"{id}\n".encode())
        found.append(digest.hexdigest())
    return found


def shared(
    ids: Sequence[str], known: Container[str], *, border: int = BORDER, tail: int = TAIL
) -> int:
    """How many of the layers ``ids`` (the bottom first) to merge into one; 0 for none.

    Nothing up to ``border`` layers. Beyond it the longest beginning of which there is a union
    (``known`` are their keys), if what is left does not pass the border again; otherwise all but
    the topmost ``tail``. Decides alone, and changes nothing.
    """
    if len(ids) <= border:
        return 0
    there = keys(ids)
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
) -> tuple[Path, ...]:
    """The directories for a root of ``bottom`` and ``layers``: few of them, however many layers.

    Makes a union where there is none yet; whoever asks for the same one meanwhile waits for it.
    Raises OSError.
    """
    paths = [layer.path for layer in (*bottom, *layers)]
    ids = [layer.id for layer in layers]
    known = known_unions(store) if len(ids) > border else ()
    count = shared(ids, known, border=border, tail=tail)
    if count == 0:
        return tuple(paths)
    first = len(bottom)
    union = _union(store, layers[:count])
    return (*paths[:first], union, *paths[first + count :])


def _union(store: Store, layers: Sequence[Layer]) -> Path:
    ids = [layer.id for layer in layers]
    key = keys(ids)[-1]
    with store.lock(f"union-{key}"):
        there = use_union(store, key)
        if there is None:
            with store.workspace("union") as room:
                tree = room / "union" / "tree"
                tree.parent.mkdir()
                merge_layers([layer.path for layer in layers], tree)
                there = add_union(store, tree.parent, key, ids)
    return there
