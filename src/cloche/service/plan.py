"""What levels cost for all targets together."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from cloche.broker.executor import Workers
from cloche.errors import ClocheError
from cloche.service.database import Database
from cloche.service.settings import State
from cloche.service.values import Candidate
from cloche.targets import calls
from cloche.targets.description import decode_description
from cloche.targets.levels import Environment
from cloche.targets.results import Asker, Cost, Known, Place, Want

WORLD = ("@world",)


def costs_of(
    database: Database, state: State, place: Place, atoms: Sequence[str]
) -> tuple[Cost, ...]:
    """The cost of each level if all targets ask for some atoms. Raises ClocheError.

    Without atoms, each asks for what it asked for last, or for its world.
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
        file = state.description(target.digest)
        description = decode_description(gzip.decompress(file.read_bytes()))
        last = database.builds(target=target.id, most=1)
        wanted = atoms or (last[0].atoms if last else WORLD)
        yield Asker(target.id, description, Want(wanted, target.level))


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
