"""What levels cost for all targets together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from cloche.broker.executor import Workers
from cloche.errors import ClocheError
from cloche.service.database import Database
from cloche.service.descriptions import stored
from cloche.service.settings import State
from cloche.service.values import Candidate, Target
from cloche.targets import calls
from cloche.targets.levels import Environment
from cloche.targets.results import Asker, Cost, Known, Place, Want

_LATELY = 50  # builds


def costs_of(
    database: Database, state: State, place: Place, atoms: Sequence[str]
) -> tuple[Cost, ...]:
    """The cost of each level if all targets ask for some atoms. Raises ClocheError.

    Without atoms, each asks for what it asked for lately (`asked_atoms`).
    """
    askers = tuple(_askers(database, state, tuple(atoms)))
    if not askers:
        raise ClocheError("no target is enrolled", todo="enrol one with cloche-client")
    with Workers(1) as workers:
        return workers.submit(
            calls.costs, place, askers, known(database, database.candidates())
        ).result()


def _askers(database: Database, state: State, atoms: tuple[str, ...]) -> Iterator[Asker]:
    for target in database.targets():
        want = Want(atoms or asked_atoms(database, target), target.level)
        description = stored(state, target.digest, f"{target.name} ({target.id})")
        yield Asker(target.id, description, want)


def asked_atoms(database: Database, target: Target) -> tuple[str, ...]:
    """What a target asked for lately and its Portage took, each once; @world if nothing."""
    builds = database.builds(target=target.id, most=_LATELY)
    atoms = dict.fromkeys(atom for build in builds if not build.error for atom in build.atoms)
    return tuple(atoms) or ("@world",)


def known(database: Database, candidates: Iterable[Candidate]) -> tuple[Known, ...]:
    """Packages that there are, each in its environment."""
    packages = {each.id: each for each in database.packages()}
    return tuple(
        Known(
            each.cpv,
            packages[each.package].use,
            msgspec.json.decode(each.environment, type=Environment),
            packages[each.package].size,
        )
        for each in candidates
    )
