"""Levels: how much of a target a package has to fit, and which environments they tell apart.

An `Environment` is what a package was, or would be, built in, as far as the target can notice it.
A level keeps a part of it (`kept`). A package fits a target if what the level keeps is the same for
the environment that it was built in and for the target's own; Portage itself compares the rest.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import msgspec

#: Variables that change what compilers make.
FLAGS = (
    "CC", "CXX", "CFLAGS", "CXXFLAGS", "CPPFLAGS", "FCFLAGS", "FFLAGS", "LDFLAGS", "ASFLAGS",
    "RUSTFLAGS", "GOFLAGS",
)  # fmt: skip


#: What the profile and the target's USE flags say already.
_OTHERWISE = frozenset({"ARCH", "COMMON_FLAGS"})


class Level(StrEnum):
    """How well a package fits; each level also demands what those before it do."""

    USE = "1"
    FLAGS = "2"
    ABI = "3a"
    CLOSURE = "3b"
    CLONE = "4"

    @property
    def rank(self) -> int:
        """Its place in the order."""
        return list(Level).index(self)

    @property
    def meaning(self) -> str:
        """What has to be equal, in a few words."""
        return MEANINGS[self]


MEANINGS: Mapping[Level, str] = {
    Level.USE: "USE flags and keywords",
    Level.FLAGS: "as 1, and compiler flags with other variables",
    Level.ABI: "as 2, and the sub-slots of libraries; C and C++ libraries are not newer",
    Level.CLOSURE: "as 3a, and the versions and USE flags of all that a build sees",
    Level.CLONE: "as 3b, and everything that is installed",
}
DEFAULT = Level.ABI
WHY_DEFAULT = (
    "a package that fits at this level runs on the target: it is linked against the ABI of the "
    "libraries there. Level 3b adds nothing that a program notices, and needs one environment more "
    "for each version of a tool"
)


@dataclass(frozen=True, slots=True, order=True)
class Seen:
    """A package that a build sees. ``use`` are the enabled flags that it has, sorted."""

    cp: str
    slot: str
    sub_slot: str
    version: str
    use: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Its name with its slot: a root has one package of each."""
        return f"{self.cp}:{self.slot}"

    @property
    def state(self) -> str:
        """Its version and flags."""
        return " ".join((self.version, *self.use))


@dataclass(frozen=True, slots=True)
class Environment:
    """What a package is built in.

    ``flags`` are its effective variables (`flags_of`), ``build`` what its build sees, ``run`` what
    it needs at run time. ``target`` is a digest of all that is installed on the target whose clone
    it is.
    """

    flags: Mapping[str, str] = field(default_factory=dict)
    build: tuple[Seen, ...] = ()
    run: tuple[Seen, ...] = ()
    target: str = ""


def flags_of(variables: Mapping[str, str]) -> dict[str, str]:
    """Effective variables (`guest/variables.py`), without needless space, and empty ones.

    They are more than compiler flags: EXTRA_ECONF or INSTALL_MASK change a package, too.
    """
    found = {name: " ".join(value.split()) for name, value in variables.items()}
    return {name: value for name, value in found.items() if value and name not in _OTHERWISE}


def kept(environment: Environment, level: Level) -> dict[str, Any]:
    """The part of an environment that a level demands to be equal, as plain data."""
    parts: dict[str, Any] = {}
    if level.rank >= Level.FLAGS.rank:
        parts["flags"] = dict(sorted(environment.flags.items()))
    if level.rank >= Level.ABI.rank:
        parts["abi"] = {each.name: each.sub_slot for each in environment.run}
    if level is Level.CLOSURE:  # a clone's is all of the target
        parts["closure"] = {
            each.name: each.state for each in (*environment.build, *environment.run)
        }
    if level is Level.CLONE:
        parts["target"] = environment.target
    return parts


def fingerprint(environment: Environment, level: Level) -> str:
    """A digest of what a level keeps of an environment: equal ones are one environment."""
    data = msgspec.json.encode(kept(environment, level), order="deterministic")
    return hashlib.sha256(data).hexdigest()


def differences(made: Environment, own: Environment, level: Level) -> tuple[str, ...]:
    """How an environment differs from the target's own at a level; empty if it fits."""
    found = []
    there, here = kept(made, level), kept(own, level)
    for part in here:
        if there[part] == here[part]:
            continue
        if part == "target":
            found.append("it was not built in a clone of this machine")
            continue
        for name in sorted(there[part].keys() | here[part].keys()):
            was, wanted = there[part].get(name), here[part].get(name)
            if was != wanted:
                found.append(f"{name}: built with {_shown(was)}, here it is {_shown(wanted)}")
    return tuple(found)


def misfits(
    made: Environment, flags: Mapping[str, str], has: Mapping[str, Seen], target: str, level: Level
) -> tuple[str, ...]:
    """Why a package that was built for some machine does not fit a target at a level.

    ``flags`` are the target's own for this package. ``has`` are the packages that it has, gets from
    the same index, or would choose itself, by name; what is not among them contradicts nothing.
    ``target`` is the digest of all that is installed there.
    """
    own = Environment(
        flags if level.rank >= Level.FLAGS.rank else made.flags,
        tuple(has.get(each.name, each) for each in made.build),
        tuple(has.get(each.name, each) for each in made.run),
        target,
    )
    return differences(made, own, level)


def _shown(value: str | None) -> str:
    return "none" if value is None else f"“{value}”"


def newer(needs: Iterable[tuple[str, str]], has: Mapping[str, str]) -> tuple[str, ...]:
    """Symbol versions that a package needs and that are newer than the target's libraries have.

    ``needs`` are prefixes with versions ("GLIBC", "2.38"); a prefix that the target does not name
    is not judged.
    """
    return tuple(
        f"it needs {prefix}_{version}, the target has {prefix}_{has[prefix]}"
        for prefix, version in sorted(set(needs))
        if prefix in has and _order(version) > _order(has[prefix])
    )


def _order(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))
