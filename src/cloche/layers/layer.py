"""A layer as a value, and storing a directory as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cloche.layers.identity import Rules, layer_id
from cloche.layers.portage_noise import PORTAGE_RULES
from cloche.store import Entry, Store, Tree, exact_digest, measure, walk


@dataclass(frozen=True, slots=True)
class Layer:
    """An immutable tree that can be the lower directory of an overlay.

    ``kind`` and ``label`` are for people ("package", "app-misc/jq-1.8.1"); ``size`` is in bytes of
    content, ``files`` counts the names that are not directories.
    """

    id: str
    path: Path
    kind: str
    label: str
    size: int
    files: int


def layer_of(tree: Tree) -> Layer:
    """A stored tree as a layer."""
    return Layer(tree.id, tree.path, tree.kind, tree.label, tree.size, tree.files)


def stored_layer(store: Store, id: str) -> Layer:
    """The layer with this id. Raises `store.StoreError`."""
    return layer_of(store.tree(id))


def possible_ids(directory: Path, entries: Sequence[Entry]) -> set[str]:
    """The ids that `commit` may have given to a stored tree; ``entries`` are its `walk`.

    Raises OSError.
    """
    return {layer_id(directory, rules, entries) for rules in (PORTAGE_RULES, {})}


def commit(
    store: Store, directory: Path, *, kind: str, label: str, rules: Rules = PORTAGE_RULES
) -> Layer:
    """Move a directory from a workspace of the store into the store as a layer.

    If the store has a layer with the same id, returns that one (with its own kind and label) and
    removes ``directory``. Times stay as they are. Raises OSError for an unreadable tree.
    """
    entries = walk(directory)
    files, size = measure(entries)
    tree = store.add_tree(
        directory,
        id=layer_id(directory, rules, entries),
        exact=exact_digest(entries),
        kind=kind,
        label=label,
        files=files,
        size=size,
    )
    return layer_of(tree)
