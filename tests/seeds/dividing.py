"""Splitting trees into the parts of their packages, and looking whether they are whole again."""

from __future__ import annotations

import os
import random
from collections.abc import Mapping
from pathlib import Path

from cloche.layers import PORTAGE_RULES, Layer, compare, flatten, layer_id
from cloche.layers.parts import commit_parts
from cloche.seeds.parts.ownership import owned_by_package
from cloche.seeds.parts.splitting import divided
from cloche.store import Store, exact_digest, walk


def split(store: Store, tree: Path) -> Mapping[str, Layer]:
    """The parts of a tree; the tree has to lie on the store's file system."""
    entries = walk(tree)
    parts = divided(entries, owned_by_package(tree, entries))
    with store.workspace("parts") as room:
        return commit_parts(store, tree, parts, kind="part", room=room)


def whole_again(tree: Path, parts: Mapping[str, Layer], room: Path, *orders: int) -> None:
    """The parts over each other, in orders of chance, are the tree in everything."""
    before = walk(tree)
    for number in orders:
        order = [layer.path for layer in parts.values()]
        random.Random(number).shuffle(order)
        again = room / f"again-{number}"
        flatten(order, again)
        after = walk(again)
        assert exact_digest(after) == exact_digest(before), compare(tree, again).text()
        assert layer_id(again, PORTAGE_RULES, after) == layer_id(tree, PORTAGE_RULES, before)
        assert [(e.path, e.mtime_ns) for e in after] == [(e.path, e.mtime_ns) for e in before]


def files_of(layer: Layer) -> set[str]:
    """The names in a layer that are no directories, without the VDB's."""
    return {
        os.fsdecode(entry.path)
        for entry in walk(layer.path, content=False)
        if entry.type != "directory" and not entry.path.startswith(b"var/db/pkg/")
    }
