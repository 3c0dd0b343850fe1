"""Names of pins, one prefix for each kind.

A name is a path: the kind, then what tells one from the other. ``place`` stands for a project:
two projects may use the same word for a machine.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

MACHINES = "machine/"
RECORDS = "record/"
NEWS = "news/"
SEEDS = "seed/"
REPOSITORIES = "repo/"
BINHOSTS = "binrepo/"
CCACHES = "ccache/"
FRESHROOTS = "freshroot/"
TRIALS = "try/"
RECOVERED = "recovered/"
"""Pins of this prefix keep what was entered and no other pin names; see `gc`."""


def machine(place: str, name: str) -> str:
    """A machine as it was built last."""
    return f"{MACHINES}{place}/{name}"


def place_of(machine: str) -> str:
    """The place in the name that `machine` gives."""
    return machine.removeprefix(MACHINES).partition("/")[0]


def record(place: str, machine: str, number: int | None = None) -> str:
    """A build of a machine; without a number the prefix of all of them, without its last slash."""
    return f"{RECORDS}{place}/{machine}" + ("" if number is None else f"/{number}")


def news(place: str) -> str:
    """The news items that were read in a project."""
    return f"{NEWS}{place}"


def ccache(place: str, repository: str, package: str, compilers: str) -> str:
    """The compile cache of a package (CATEGORY/PN) of a project's repository."""
    return f"{CCACHES}{place}/{repository}/{package}/{compilers}"


def freshroot(store: Path, root: Path) -> str:
    """What a freshroot needs and has built: ``root``, a directory of the store, is it.

    Once that is gone, or lies in `tmp` and has no living process, `gc` drops the pin.
    """
    return f"{FRESHROOTS}{root.relative_to(store)}"


def trial(place: str, machine: str) -> str:
    """What the last trial of a variant of a machine has built."""
    return f"{TRIALS}{place}/{machine}"


def declared(kind: str, name: str, made_of: object) -> str:
    """The prefix of what was made of a declaration: two of one name may differ in what they say.

    ``made_of`` is the declaration in types that JSON knows.
    """
    return f"{kind}{name}/{hashlib.sha256(msgspec.json.encode(made_of)).hexdigest()[:12]}/"
