"""Roots of failed steps, kept for `cloche shell` until their package is built.

A root belongs to one machine of one project, as the same step may succeed in another. A shell in a
root holds a lock on its directory. A root that is removed while in use is renamed first, and
deleted when its lock is free.
"""

from __future__ import annotations

import os
import shutil
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from cloche.decoding import NOT_DECODABLE
from cloche.store import Store
from cloche.tasks import task as tasks

Step = Literal["build", "merge"]

ABOUT = "about.json"
#: What else is in a step's workspace besides the written top and Portage's directory: hard links of
#: the distfiles, or of the binary package.
SOURCES: dict[Step, str] = {"build": "distdir", "merge": "packages"}


@dataclass(frozen=True, slots=True)
class Kept:
    """Description of a kept root: the failed step, and the ids of the layers below it.

    ``root`` are those of the root of its own that it was to go into; see `cloche.tasks.task.Step`.
    """

    package: str
    layers: tuple[str, ...]
    step: Step = "build"
    root: tuple[str, ...] | None = None


def name_of(place: str, machine: str, cpv: str) -> str:
    """The name of a failed step's root. Names of projects and packages have no @."""
    return f"{place}@{machine}@{cpv.replace('/', '_')}"


def lock(store: Store, name: str) -> AbstractContextManager[None]:
    """The lock for placing or removing a root."""
    return store.lock(f"failed-{name}")


def keep(task: tasks.Step, store: Store, step: Step, workspace: Path) -> None:
    """Keep the written top and the work directory of a failed step; replaces an older root."""
    name = task.kept_as or ""
    place = store.failed / name
    with lock(store, name):
        store.discard(place)
        place.mkdir(mode=0o700)  # setuid programs of a build may lie in it
        (workspace / "root" / "top").rename(place / "top")
        (workspace / "tmp").rename(place / "tmp")
        sources = SOURCES[step]
        shutil.copytree(workspace / sources, place / sources, symlinks=True, copy_function=os.link)
        live = (task.live.tree,) if isinstance(task, tasks.BuildTask) and task.live else ()
        about = Kept(task.package, (*task.layers, *live), step, task.root)
        (place / ABOUT).write_bytes(msgspec.json.encode(about))


def known(store: Store, name: str) -> Kept | None:
    """The root kept under a name, if there is one."""
    try:
        text = (store.failed / name / ABOUT).read_bytes()
    except FileNotFoundError:
        return None
    return read_kept(text)


def read_kept(text: bytes) -> Kept | None:
    """Decode the file beside a kept root; None if it is damaged."""
    try:
        return msgspec.json.decode(text, type=Kept)
    except NOT_DECODABLE:
        return None


def forget(store: Store, name: str) -> None:
    """Remove the root of an earlier failure, as the package is built now."""
    place = store.failed / name
    if place.exists():
        with lock(store, name):
            store.discard(place)
