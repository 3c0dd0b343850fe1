"""What each level costs for what targets ask for: environments, builds, bytes. Nothing is built."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import mean

from cloche.building.unresolved import ResolutionError
from cloche.session.session import Session
from cloche.targets.levels import Environment, Level, fingerprint
from cloche.targets.replay import Replayed, replay, session_for
from cloche.targets.results import Asker, Cost, Known


@dataclass(frozen=True, slots=True)
class Asked:
    """A package that a target asks for, and the environment that the target would build it in."""

    cpv: str
    use: tuple[str, ...]
    environment: Environment


def costs(session: Session, askers: Sequence[Asker], known: Sequence[Known]) -> tuple[Cost, ...]:
    """The cost of each level. Atoms that a target's Portage refuses cost nothing."""
    asked = [each for asker in askers for each in _asked(session, asker)]
    return tuple(cost(asked, known, level) for level in Level)


def _asked(session: Session, asker: Asker) -> Iterator[Asked]:
    session = session_for(session, asker.description)
    for own in _replayed(session, asker):
        for id, package in own.wanted.items():
            use = tuple(sorted(set(package.use) & set(package.iuse)))
            yield Asked(package.cpv, use, own.environments[id])


def _replayed(session: Session, asker: Asker) -> Iterator[Replayed]:
    """All atoms of a want together, or each alone if they are refused."""
    atoms = asker.want.atoms
    try:
        yield replay(session, asker.name, asker.description, asker.want)
    except ResolutionError:
        for atom in atoms if len(atoms) > 1 else ():
            alone = replace(asker, want=replace(asker.want, atoms=(atom,)))
            yield from _replayed(session, alone)


def cost(asked: Iterable[Asked], known: Sequence[Known], level: Level) -> Cost:
    """The cost of a level for some packages. A pure function."""
    wanted = {_identity(each, level) for each in asked}
    ready = {_identity(each, level): each.size for each in known}
    by_cpv: dict[str, int] = {each.cpv: each.size for each in known}
    usual = round(mean(by_cpv.values())) if by_cpv else 0
    sizes = (ready.get(each, by_cpv.get(each[0], usual)) for each in wanted)
    return Cost(
        level=level,
        environments=len({each[2] for each in wanted}),
        builds=len(wanted),
        ready=len(wanted & ready.keys()),
        bytes=sum(sizes),
    )


def _identity(each: Asked | Known, level: Level) -> tuple[str, tuple[str, ...], str]:
    return each.cpv, each.use, fingerprint(each.environment, level)
