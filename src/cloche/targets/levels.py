"""Levels: how much of a target a package has to fit, and which environments they tell apart.

An `Environment` is what a package was, or would be, built in, as far as the target can notice it.
A level keeps a part of it (`kept`). A package fits a target if what the level keeps is the same for
the environment that it was built in and for the target's own, and no code of another target had a
part in it, whatever the level; Portage itself compares the rest.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

import msgspec

from cloche.plan.keys import MERGE_ONLY
from cloche.targets.words import FLAGS, is_words

#: What the profile and the target's USE flags say already.
_OTHERWISE = frozenset({"ARCH", "COMMON_FLAGS", "INSTALL_MASK"}) | MERGE_ONLY
#: FEATURES that only act when a package is merged.
_MERGING = frozenset(
    {
        *("case-insensitive-fs", "collision-protect", "preserve-libs", "protect-owned", "suidctl"),
        *("noinfo", "nodoc", "noman", "qa-unresolved-soname-deps", "unmerge-orphans"),
    }
)


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
    Level.USE: "USE flags and keywords; no variable but compiler flags says something else",
    Level.FLAGS: "as 1, and compiler flags, all variables, and code such as patches",
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
    it needs at run time. ``code`` are digests of the target's own code that works on the package
    itself, by file; ``tools`` is a digest of all code of the target that may have worked on what
    the build sees. ``target`` is a digest of all that is installed on the target whose clone it is.
    """

    flags: Mapping[str, str] = field(default_factory=dict)
    build: tuple[Seen, ...] = ()
    run: tuple[Seen, ...] = ()
    code: Mapping[str, str] = field(default_factory=dict)
    tools: str = ""
    target: str = ""


def flags_of(variables: Mapping[str, str]) -> dict[str, str]:
    """Effective variables (`guest/variables.py`), without needless space, and empty ones.

    They are more than compiler flags: EXTRA_ECONF or PKG_INSTALL_MASK change a package, too. What
    only acts when the target merges the package, as INSTALL_MASK does, is left to the target.
    """
    found = {name: " ".join(value.split()) for name, value in variables.items()}
    found["FEATURES"] = " ".join(
        word for word in found.get("FEATURES", "").split() if word not in _MERGING
    )
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
    parts = kept(environment, level), environment.code, environment.tools
    data = msgspec.json.encode(parts, order="deterministic")
    return hashlib.sha256(data).hexdigest()


def differences(made: Environment, own: Environment, level: Level) -> tuple[str, ...]:
    """How an environment differs from the target's own at a level; empty if it fits."""
    found = [*_of_code(made, own, level), *_of_variables(made, own, level)]
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
                text = f"{name}: built with {_shown(was)}, here it is {_shown(wanted)}"
                found.append(text + (_permission(name, wanted) if part == "flags" else ""))
    return tuple(found)


def _of_code(made: Environment, own: Environment, level: Level) -> Iterator[str]:
    """Code of another target is never taken, the target's own is missed from `Level.FLAGS` on."""
    for name, digest in sorted(made.code.items()):
        if own.code.get(name) != digest:
            yield f"{name} of another machine, or of an earlier state of this one, worked on it"
    if made.tools and made.tools != own.tools:
        yield "it was built with tools or libraries on which other code than this machine's worked"
    if level.rank >= Level.FLAGS.rank:
        for name in sorted(own.code.keys() - made.code.keys()):
            yield f"it was made without {name} of this machine, which needs the permission `inject`"


def _of_variables(made: Environment, own: Environment, level: Level) -> Iterator[str]:
    """At `Level.USE`: what a variable says that the target's does not, but for compiler flags."""
    if level is Level.USE:
        for name, value in sorted(made.flags.items()):
            plain = name in FLAGS and is_words(name, value)
            here = own.flags.get(name)
            if not plain and here != value:
                yield f"{name}: built with {_shown(value)}, here it is {_shown(here)}"


def misfits(
    made: Environment, own: Environment, has: Mapping[str, Seen], level: Level
) -> tuple[str, ...]:
    """Why a package that was built for some machine does not fit a target at a level.

    ``own`` is the target's own environment for this package, without what a build would see:
    ``has`` are the packages that it has, gets from the same index, or would choose itself, by name.
    What is not among them contradicts nothing below `Level.CLOSURE`.
    """
    build, run = (
        tuple(
            has.get(each.name, each)
            for each in seen
            if level is not Level.CLOSURE or each.name in has
        )
        for seen in (made.build, made.run)
    )
    return differences(made, replace(own, build=build, run=run), level)


def _permission(name: str, value: str | None) -> str:
    """What a variable of the target needs to count, if it is more than words."""
    if value is None or is_words(name, value):
        return ""
    return "; what make.conf says of it needs the permission `inject`"


def _shown(value: str | None) -> str:
    return "none" if value is None else f"“{value}”"


def newer(needs: Iterable[tuple[str, str]], has: Mapping[str, str]) -> tuple[str, ...]:
    """Symbol versions that a package needs and that are newer than the target's libraries have.

    ``needs`` are prefixes with versions ("GLIBC", "2.38"). A target without a prefix does not have
    the library.
    """
    return tuple(
        f"it needs {prefix}_{version}, the target has "
        + (f"{prefix}_{has[prefix]}" if prefix in has else "none")
        for prefix, version in sorted(set(needs))
        if prefix not in has or _order(version) > _order(has[prefix])
    )


def _order(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d{1,18}", version))
