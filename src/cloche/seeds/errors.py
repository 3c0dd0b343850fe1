"""What can go wrong on the way to a seed.

The classes are not frozen: contextlib sets ``__traceback__`` on what passes through it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cloche.errors import ClocheError


class SeedError(ClocheError):
    """Anything that keeps a seed from being made or read."""


@dataclass(eq=False)
class SeedDriftError(SeedError):
    """The mirror now offers something other than what the lock pins."""

    seed: str
    differences: tuple[str, ...]

    @property
    def what(self) -> str:
        """Count and name the first few."""
        count = len(self.differences)
        names = ", ".join(self.differences[:5])
        more = f" and {count - 5} more" if count > 5 else ""
        return f"the seed {self.seed} would differ from the lock: {names}{more}"

    @property
    def todo(self) -> str:
        """Offer both ways out."""
        return "use a mirror that has the locked versions, or accept the new ones with --update"

    @property
    def detail(self) -> str:
        """All of them."""
        return "\n".join(self.differences)


@dataclass(eq=False)
class UnknownSeedError(SeedError):
    """A name that no seed has."""

    name: str
    known: tuple[str, ...]

    @property
    def what(self) -> str:
        """Name it."""
        return f"there is no seed {self.name!r}" if self.name else "this project has no seed"

    @property
    def todo(self) -> str:
        """List those there are, or say how to make one."""
        if self.known:
            known = ", ".join(dict.fromkeys(self.known))
            return f"use one of {known}, or declare it in cloche.toml and `cloche seed bootstrap`"
        return "add one with `cloche seed add`, or declare it and run `cloche seed bootstrap`"


class NoFileError(SeedError):
    """A file or directory that the ``key`` of a seed names is not there; None: no key either."""

    def __init__(self, seed: str, key: str, path: Path | None, kind: str = "file") -> None:
        super().__init__(seed, key, path, kind)
        self.seed, self.key, self.path, self.kind = seed, key, path, kind

    @property
    def what(self) -> str:
        """Name the path."""
        return f"there is no {self.kind} {self.path}" if self.path else f"`{self.key}` is missing"

    @property
    def where(self) -> str:
        """The declaration."""
        return f"[seeds.{self.seed}]"

    @property
    def todo(self) -> str:
        """Say which key."""
        return f"{'correct' if self.path else 'add'} `{self.key}`"


class UnfitError(SeedError):
    """A tree in which Portage does not run."""

    def __init__(self, seed: str, reason: str) -> None:
        super().__init__(seed, reason)
        self.seed, self.reason = seed, reason

    @property
    def what(self) -> str:
        """Say why."""
        return f"this tree cannot be a seed: {self.reason}"

    @property
    def where(self) -> str:
        """The declaration."""
        return f"[seeds.{self.seed}]"

    @property
    def todo(self) -> str:
        """What it needs."""
        return "give a root with bash, Python and Portage, such as a stage3"


class BadImageError(SeedError):
    """An OCI image that cannot be used; ``names`` are those of the images that are there."""

    def __init__(self, path: Path, reason: str, names: Sequence[str] = ()) -> None:
        super().__init__(path, reason, names)
        self.path, self.reason, self.names = path, reason, names

    @property
    def what(self) -> str:
        """Say why."""
        return f"not an OCI image that can be a seed: {self.reason}"

    @property
    def where(self) -> str:
        """The image."""
        return str(self.path)

    @property
    def todo(self) -> str:
        """The names, where there are any."""
        if self.names:
            return f"there is: {', '.join(self.names)}"
        return "give an image layout or an OCI archive (`podman save --format oci-archive`)"


class NoStrictSeedError(SeedError):
    """``--strict`` with a seed of which nobody knows which package a file belongs to."""

    def __init__(self, seed: str) -> None:
        super().__init__(seed)
        self.seed = seed

    @property
    def what(self) -> str:
        """Say so."""
        return f"the seed {self.seed} cannot be used with --strict"

    @property
    def todo(self) -> str:
        """What can."""
        return "build without --strict, or with a seed that has a VDB or dpkg's lists"
