"""Roots of failed steps, kept for `cloche shell` until their package is there.

A root belongs to one machine of one project: what fails in one may well succeed in another. Whoever
looks around in a root holds a lock on its directory. A root that has to go while it is looked at is
taken out of its place, and removed when nobody holds it any more.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from cloche.building.context import BuildContext
from cloche.decoding import NOT_DECODABLE
from cloche.layers import Layer
from cloche.plan.depgraph import Package

Step = Literal["build", "merge"]

ABOUT = "about.json"
#: What a step's workspace has beside the written top and Portage's directory: hard links of the
#: distfiles, or of the binary package.
SOURCES: dict[Step, str] = {"build": "distdir", "merge": "packages"}


@dataclass(frozen=True, slots=True)
class Kept:
    """What is known of a kept root: the step that failed, and the ids of the layers below it."""

    package: str
    layers: tuple[str, ...]
    step: Step = "build"


def directory(context: BuildContext, package: Package) -> Path:
    """Where the root of a failed step is kept. No name of a project or a package has an @."""
    inputs = context.inputs
    name = f"{inputs.place}@{inputs.machine}@{package.cpv.replace('/', '_')}"
    return context.store.failed / name


def lock(context: BuildContext, package: Package) -> AbstractContextManager[None]:
    """Held by whoever puts a root into its place, or takes it away."""
    return context.store.lock(f"failed-{directory(context, package).name}")


def keep(
    context: BuildContext, package: Package, step: Step, workspace: Path, layers: Sequence[Layer]
) -> None:
    """Keep the written top and the work directory of a failed step, in place of an older one."""
    place = directory(context, package)
    with lock(context, package):
        context.store.discard(place)
        place.mkdir(mode=0o700)  # setuid programs of a build may lie in it
        (workspace / "root" / "top").rename(place / "top")
        (workspace / "tmp").rename(place / "tmp")
        name = SOURCES[step]
        shutil.copytree(workspace / name, place / name, symlinks=True, copy_function=os.link)
        about = Kept(package.id, tuple(layer.id for layer in layers), step)
        (place / ABOUT).write_bytes(msgspec.json.encode(about))


def known(context: BuildContext, package: Package) -> Kept | None:
    """What is kept of a package, if anything is."""
    try:
        text = (directory(context, package) / ABOUT).read_bytes()
    except FileNotFoundError:
        return None
    return read_kept(text)


def read_kept(text: bytes) -> Kept | None:
    """What the file beside a kept root says; None where it is damaged."""
    try:
        return msgspec.json.decode(text, type=Kept)
    except NOT_DECODABLE:
        return None


def forget(context: BuildContext, package: Package) -> None:
    """Remove what is kept of an earlier failure: the package is there now."""
    place = directory(context, package)
    if place.exists():
        with lock(context, package):
            context.store.discard(place)
