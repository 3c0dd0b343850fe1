"""Requires-Python as the targets of an ebuild (``PYTHON_COMPAT``)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from cloche.autogen.dependencies import Atom, ForPythons
from cloche.autogen.errors import RefusedError

DEFAULT_TARGETS = ("python3_11", "python3_12", "python3_13", "python3_14")
"""Used where no configured tree says which there are."""

PATCHES = 60  # patch levels that are tried: CPython has not made 30 of any version


@dataclass(frozen=True, slots=True)
class Pythons:
    """Targets, and the interpreters that some of them need."""

    targets: tuple[str, ...]
    interpreters: tuple[ForPythons, ...] = ()


def minor(target: str) -> str:
    """The version of a target: ``3.11`` of ``python3_11``."""
    return target.removeprefix("python").replace("_", ".")


def known_targets(description: str) -> tuple[str, ...]:
    """The targets of CPython in a tree's ``profiles/desc/python_targets.desc``."""
    found = set(re.findall(r"^(python3_\d+) - ", description, re.MULTILINE))
    return tuple(sorted(found, key=lambda target: int(target.rpartition("_")[2])))


def pythons(requires: str | None, known: Sequence[str], where: str) -> Pythons:
    """The targets that Requires-Python accepts, with all its clauses. Raises `RefusedError`.

    A target whose first patch levels are left out needs an interpreter from the next one on; one
    that only lacks others must not have these.
    """
    try:
        wanted = SpecifierSet(requires or "")
    except InvalidSpecifier as error:
        what = f"Requires-Python is malformed: “{requires}”"
        raise RefusedError(what, where=where, todo="tell upstream") from error
    targets, interpreters = [], []
    for target in known:
        refused = [n for n in range(PATCHES) if not wanted.contains(f"{minor(target)}.{n}")]
        if refused and refused[-1] == PATCHES - 1:
            continue
        targets.append(target)
        if refused:
            interpreters.append(ForPythons((target,), tuple(_but(target, refused))))
    if not targets:
        what = f"no target of {', '.join(map(minor, known))} is in Requires-Python “{requires}”"
        raise RefusedError(what, where=where, todo="choose another release")
    return Pythons(tuple(targets), tuple(interpreters))


def _but(target: str, refused: Sequence[int]) -> Iterator[Atom]:
    """The interpreters of a target without these patch levels."""
    slot = minor(target)
    first = next(n for n in range(PATCHES) if n not in refused)
    python = Atom("dev-lang/python", slot=slot)
    yield replace(python, operator=">=", version=f"{slot}.{first}") if first else python
    for level in refused:
        if level > first:
            yield replace(python, operator="~", version=f"{slot}.{level}", blocks=True)


def compat(targets: Iterable[str]) -> str:
    """The words of ``PYTHON_COMPAT``: ``python3_{11..13}``."""
    runs: list[list[int]] = []
    for number in sorted(int(target.rpartition("_")[2]) for target in targets):
        if runs and runs[-1][-1] == number - 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return " ".join(
        f"python3_{run[0]}" if len(run) == 1 else f"python3_{{{run[0]}..{run[-1]}}}" for run in runs
    )
