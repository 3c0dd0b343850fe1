"""Errors of seeds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from cloche.errors import ClocheError, Exit


class SeedError(ClocheError):
    """A seed cannot be made or read."""


def not_as_locked(seed: str, differences: Sequence[str]) -> SeedError:
    """The mirror no longer offers what the lock pins."""
    names = ", ".join(differences[:5])
    more = f" and {len(differences) - 5} more" if len(differences) > 5 else ""
    return SeedError(
        f"the seed {seed} would differ from the lock: {names}{more}",
        todo=f"run `cloche seed bootstrap {seed} --update` to accept this, or use a mirror "
        "that has the locked versions",
        detail="\n".join(differences),
    )


def unknown_seed(name: str, known: Iterable[str]) -> SeedError:
    """There is no seed of this name; with an empty name, no seed at all."""
    todo = "add one with `cloche seed add`, or declare it and run `cloche seed bootstrap`"
    if names := ", ".join(dict.fromkeys(known)):
        todo = f"use one of {names}, or declare it in cloche.toml and run `cloche seed bootstrap`"
    what = f"unknown seed “{name}”" if name else "this project has no seed"
    return SeedError(what, todo=todo)


def missing_key(seed: str, key: str) -> SeedError:
    """A key that every seed of this type has is not there."""
    return SeedError(f"`{key}` is missing", where=f"[seeds.{seed}]", todo=f"add `{key}`")


def missing_file(seed: str, key: str, path: Path | None, kind: str = "file") -> SeedError:
    """A file or directory that the ``key`` of a seed names is not there; None: no key either."""
    if path is None:
        return missing_key(seed, key)
    return SeedError(f"no such {kind}: {path}", where=f"[seeds.{seed}]", todo=f"correct `{key}`")


def no_pypi_simple() -> SeedError:
    """A library is missing. Gentoo does not have it, so the ebuild does not require it."""
    return SeedError(
        "the Python package pypi-simple, which finds Portage's release, is not installed",
        todo="pip install pypi-simple, or use a stage3: `cloche seed add stage3`",
        status=Exit.HOST,
    )
