"""Dependencies of ebuilds as values (PMS 8), their text, and which versions they accept.

The text is what stands in an ebuild that inherits python-r1: ``${PYTHON_USEDEP}`` and
``python_gen_cond_dep`` are left to the eclass.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from cloche.plan.versions import version_key

Operator = Literal["", "<", "<=", "=", "=*", ">=", ">", "~"]


@dataclass(frozen=True, slots=True)
class Atom:
    """A package dependency specification (PMS 8.3); ``use`` holds the words between [ and ]."""

    cp: str
    operator: Operator = ""
    version: str = ""
    slot: str = ""
    use: tuple[str, ...] = ()
    blocks: bool = False

    def __str__(self) -> str:
        op, star = ("=", "*") if self.operator == "=*" else (self.operator, "")
        text = f"{op}{self.cp}-{self.version}{star}" if op else self.cp
        slot = f":{self.slot}" if self.slot else ""
        use = f"[{','.join(self.use)}]" if self.use else ""
        return f"{'!' if self.blocks else ''}{text}{slot}{use}"


@dataclass(frozen=True, slots=True)
class AnyOf:
    """One of these is enough."""

    inner: tuple[Dependency, ...]


@dataclass(frozen=True, slots=True)
class AllOf:
    """All of these, as one of the choices of `AnyOf`."""

    inner: tuple[Dependency, ...]


@dataclass(frozen=True, slots=True)
class WithUse:
    """Needed with a USE flag."""

    flag: str
    inner: tuple[Dependency, ...]


@dataclass(frozen=True, slots=True)
class ForPythons:
    """Needed for some of the package's targets, such as ``python3_11``."""

    targets: tuple[str, ...]
    inner: tuple[Dependency, ...]


Dependency = Atom | AnyOf | AllOf | WithUse | ForPythons


def lines(wanted: Iterable[Dependency], depth: int = 1) -> Iterator[str]:
    """The lines of a dependency variable, indented by tabs."""
    tabs = "\t" * depth
    for each in wanted:
        match each:
            case Atom():
                yield f"{tabs}{each}"
            case AnyOf(inner):
                yield from (f"{tabs}|| (", *lines(inner, depth + 1), f"{tabs})")
            case AllOf(inner):
                yield from (f"{tabs}(", *lines(inner, depth + 1), f"{tabs})")
            case WithUse(flag, inner):
                yield from (f"{tabs}{flag}? (", *lines(inner, depth + 1), f"{tabs})")
            case ForPythons(targets, inner):
                patterns = " ".join(t.removeprefix("python").replace("_", ".") for t in targets)
                yield f"{tabs}$(python_gen_cond_dep '"
                yield from lines(inner, depth + 1)
                yield f"{tabs}' {patterns})"


def atoms(wanted: Iterable[Dependency]) -> Iterator[Atom]:
    """All atoms, whatever their conditions."""
    for each in wanted:
        if isinstance(each, Atom):
            yield each
        else:
            yield from atoms(each.inner)


def accepts(wanted: Sequence[Dependency], version: str) -> bool:
    """Whether a version of the package meets all of these, which name no other package."""
    return all(_meets(each, version) for each in wanted)


def _meets(wanted: Dependency, version: str) -> bool:
    if isinstance(wanted, AnyOf):
        return any(_meets(each, version) for each in wanted.inner)
    if not isinstance(wanted, Atom):
        return accepts(wanted.inner, version)
    return _matches(wanted, version) != wanted.blocks


def _matches(atom: Atom, version: str) -> bool:
    key, own = version_key(version), version_key(atom.version)
    match atom.operator:
        case "":
            return True
        case "<":
            return key < own
        case "<=":
            return key <= own
        case ">":
            return key > own
        case ">=":
            return key >= own
        case "=":
            return key == own
        case "~":
            return version_key(version.partition("-r")[0]) == own
        case "=*":
            rest = version.removeprefix(atom.version)
            ends = not rest or not (rest[0].isdigit() and atom.version[-1:].isdigit())
            return version.startswith(atom.version) and ends
