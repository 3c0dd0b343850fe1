"""Checking a tree before it is used: has it been changed in place?

No mode keeps a store's own user from writing to a tree, so it is looked at instead. "quick" reads
no file: a tree has as many files and bytes as when it was placed, and nothing in it was modified
since. Where that does not hold, and always for "all", the whole tree is compared with its digest,
which decides. "quick" misses who changes a file without changing its size and sets its time back.
"""

from __future__ import annotations

from contextlib import suppress

from cloche.errors import Exit
from cloche.store.errors import StoreError, UnreadableTreeError
from cloche.store.records import Tree
from cloche.store.tree import exact_digest, measure, walk


def check_tree(tree: Tree, how: str) -> None:
    """Raise `StoreError` for a tree that is not what was placed.

    ``how`` is "off", "quick" or "all".
    """
    if how == "off":
        return
    with suppress(OSError, UnreadableTreeError):
        if how == "quick" and _looks_same(tree):
            return
        if exact_digest(walk(tree.path)) == tree.exact:
            return
    raise StoreError(
        f"the layer of {tree.label} was changed after it was stored",
        where=tree.path,
        todo="`cloche store verify --repair` drops it, and the next build makes it again",
        status=Exit.FAILED,
    )


def _looks_same(tree: Tree) -> bool:
    entries = walk(tree.path, content=False)
    newest = max(entry.mtime_ns for entry in entries)
    return measure(entries) == (tree.files, tree.size) and newest <= tree.created * 1e9
