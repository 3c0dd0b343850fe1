"""Copies layers, packages and sources from one store of this host to another.

Copies are verified: a tree that does not match its id is refused.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from cloche.layers import merge_layers
from cloche.plan.depgraph import Distfile
from cloche.records.logs import new_log, open_log, step_name
from cloche.store import Store, StoreError, exact_digest, walk
from cloche.tasks import distfiles
from cloche.tasks.task import Task


def bring_inputs(task: Task, source: Store, target: Store) -> None:
    """Copy all that a task needs to a store. Raises StoreError if the source lacks any of it."""
    bring_trees(task.trees, source, target)
    bring_blobs(task.blobs, source, target)
    bring_distfiles(task.sources, source, target)


def bring_trees(ids: Iterable[str], source: Store, target: Store) -> None:
    """Copy trees that the target lacks. Raises StoreError."""
    for id in dict.fromkeys(ids):
        if target.has_tree(id):
            continue
        tree = source.tree(id)
        with target.lock(f"tree-{id}"), target.workspace("transfer") as room:
            if target.has_tree(id):  # by now
                continue
            merge_layers([tree.path], room / "tree", link=False)
            exact = exact_digest(walk(room / "tree"))
            if exact != tree.exact:
                raise StoreError(
                    f"layer {id[:16]} is damaged",
                    where=source.path,
                    todo="run `cloche store verify --repair`",
                )
            target.add_tree(
                room / "tree",
                id=id,
                exact=exact,
                kind=tree.kind,
                label=tree.label,
                files=tree.files,
                size=tree.size,
            )


def bring_blobs(ids: Iterable[str], source: Store, target: Store) -> None:
    """Copy blobs that the target lacks. Raises StoreError."""
    for id in dict.fromkeys(ids):
        if target.has_blob(id):
            continue
        blob = source.blob(id)
        with target.workspace("transfer") as room:
            shutil.copyfile(blob.path, room / "blob")
            target.add_blob(room / "blob", blob.label)
        target.blob(id)  # raises unless the content is the same


def bring_distfiles(files: Iterable[Distfile], source: Store, target: Store) -> None:
    """Copy sources that the target lacks, checked against their Manifest lines on the way."""
    for file in distfiles.missing(target, files):
        distfiles.keep(target, distfiles.path_of(source, file), file)


def bring_log(log: Path, source: Store, target: Store) -> Path:
    """Copy a log, under a name of its own."""
    place = new_log(
        target, str(log.parent.relative_to(source.logs)), step_name(log).split("-", 3)[3]
    )
    with open_log(log) as old, place.open("wb") as new:
        shutil.copyfileobj(old, new)
    return place
