"""Splits one stored tree into several layers by hard links, without copying or reading files."""

# Names are bytes here, which pathlib does not know.
# ruff: noqa: PTH116

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from cloche.layers.copying import Farm
from cloche.layers.identity import Rules, layer_id
from cloche.layers.layer import Layer, layer_of
from cloche.layers.merge import Node
from cloche.layers.portage_noise import PORTAGE_RULES
from cloche.store import Store, Tree, exact_digest, measure
from cloche.store.tree import Entry


def put_in_place(tree: Path, entries: Iterable[Entry], destination: Path) -> None:
    """Make a part of a tree in ``destination``, which is missing or empty.

    ``entries`` are some of the tree's `walk`, in its order, each with the directories above it.
    Files are hard links to the tree's where possible, and directories have the same attributes.
    """
    farm = Farm(destination, link=True)
    top = os.fsencode(tree)
    for entry in entries:
        origin = top + b"/" + entry.path if entry.path else top
        info = os.stat(origin, follow_symlinks=False)
        farm.add(Node(entry.path, origin, info, (origin,) if entry.type == "directory" else ()))
    farm.finish()


def commit_parts(
    store: Store,
    tree: Path,
    parts: Mapping[str, Sequence[Entry]],
    *,
    kind: str,
    room: Path,
    rules: Rules = PORTAGE_RULES,
) -> dict[str, Layer]:
    """Store parts of a stored tree as layers; return each by its name, the label.

    The entries are those of the tree's `walk`, with digests, from which a part's id follows. Hard
    links must be in the same part. ``room`` is a workspace. Raises OSError.
    """
    sources = []
    for number, (name, entries) in enumerate(parts.items()):
        destination = room / str(number)
        put_in_place(tree, entries, destination)
        files, size = measure(entries)
        id = layer_id(tree, rules, entries)
        place = store.layers / id
        row = Tree(id, kind, name, exact_digest(entries), files, size, time.time(), place)
        sources.append((destination, row))
    stored = store.add_trees(sources)
    return {name: layer_of(tree) for name, tree in zip(parts, stored, strict=True)}
