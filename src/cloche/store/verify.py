"""Proving that a store still holds what was put into it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cloche.store.errors import UnreadableTreeError
from cloche.store.records import Blob, Tree
from cloche.store.store import Store, Waiting
from cloche.store.sweep import dead, sweep, unlisted
from cloche.store.tree import exact_digest, walk

Trouble = Literal["changed", "missing", "unreadable", "unlisted", "leftover"]
"""Different from when it was stored; gone from its place; not to be read; in place but unknown to
the index, which `recover` mends; a workspace of a process that is dead."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong; ``noun`` is "layer", "blob", "distfile" or "workspace"."""

    trouble: Trouble
    noun: str
    id: str
    label: str
    path: Path
    repaired: bool = False

    def __str__(self) -> str:
        """One line for the reader."""
        name = f"{self.noun} {self.id[:16]}" + (f" ({self.label})" if self.label else "")
        return f"{name}: {self.trouble}" + (", dropped" if self.repaired else "")


@dataclass(frozen=True, slots=True)
class Distfile:
    """A source file; ``id`` is its digest by ``algorithm``."""

    algorithm: str
    id: str
    label: str
    path: Path


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """How many trees and files were read, and what is wrong with them."""

    checked: int
    problems: tuple[Problem, ...]

    @property
    def ok(self) -> bool:
        """True when nothing is wrong, or nothing any more."""
        return all(problem.repaired for problem in self.problems)


def verify(
    store: Store,
    *,
    repair: bool = False,
    progress: Callable[[int, int, str], None] | None = None,
    waiting: Waiting | None = None,
) -> VerifyReport:
    """Read every tree, blob and distfile, and compare them with the index and with their names.

    ``repair`` drops what is damaged, and says so in the report: the steps that made it will be done
    again. Others are kept out only while that is done, when what is damaged is read once more; see
    `Store.alone` for ``waiting`` and what it raises. ``progress`` is called before each thing with
    how many are done, how many there are, and its label.
    """
    store.index.check()
    things: list[Tree | Blob | Distfile] = [*store.trees(), *store.all_blobs(), *_distfiles(store)]
    bad = []
    for done, thing in enumerate(things):
        if progress is not None:
            progress(done, len(things), thing.label)
        if _trouble(thing) is not None:
            bad.append(thing)
    if repair and bad:
        with store.alone(waiting):
            problems = list(_problems(bad, repaired=True))
            _drop(store, problems)
        sweep(store)
    else:
        problems = list(_problems(bad, repaired=False))
    return VerifyReport(len(things), (*problems, *_strays(store, repair)))


def _problems(things: Iterable[Tree | Blob | Distfile], *, repaired: bool) -> Iterator[Problem]:
    """What is wrong with things that were wrong before: others may have repaired them."""
    for thing in things:
        trouble = _trouble(thing)
        if trouble is not None:
            yield Problem(
                trouble, _noun(thing), thing.id, thing.label, thing.path, repaired=repaired
            )


def _drop(store: Store, problems: Sequence[Problem]) -> None:
    store.remove(
        trees=[problem.id for problem in problems if problem.noun == "layer"],
        blobs=[problem.id for problem in problems if problem.noun == "blob"],
        actions=(),
    )
    for problem in problems:
        if problem.noun == "distfile":
            problem.path.unlink(missing_ok=True)


def _strays(store: Store, repair: bool) -> Iterator[Problem]:
    """What lies in the store and belongs to nobody."""
    found: list[Problem] = []
    for path in unlisted(store):
        noun = "layer" if path.parent == store.layers else "blob"
        found.append(Problem("unlisted", noun, path.name, "", path))
    found += [Problem("leftover", "workspace", path.name, "", path) for path in dead(store)]
    if repair:
        sweep(store)
    for problem in found:
        gone = repair and not os.path.lexists(problem.path)
        yield Problem(problem.trouble, problem.noun, problem.id, "", problem.path, repaired=gone)


def _noun(thing: Tree | Blob | Distfile) -> str:
    return {Tree: "layer", Blob: "blob", Distfile: "distfile"}[type(thing)]


def _distfiles(store: Store) -> Iterator[Distfile]:
    """The sources: their names are ``ALGORITHM-DIGEST``, as their Manifest has it."""
    for path in sorted(store.distfiles.iterdir()):
        algorithm, _, digest = path.name.partition("-")
        if algorithm.lower() in ("blake2b", "sha512", "sha256") and digest:
            yield Distfile(algorithm.lower(), digest, path.name, path)


def _trouble(thing: Tree | Blob | Distfile) -> Trouble | None:
    try:
        if isinstance(thing, Tree):
            same = exact_digest(walk(thing.path)) == thing.exact
        else:
            with thing.path.open("rb") as file:
                algorithm = thing.algorithm if isinstance(thing, Distfile) else "sha256"
                same = hashlib.file_digest(file, algorithm).hexdigest() == thing.id
    except (FileNotFoundError, NotADirectoryError):
        return "changed" if os.path.lexists(thing.path) else "missing"
    except (OSError, UnreadableTreeError):
        return "unreadable"
    return None if same else "changed"
