"""Whole calls for programs with threads, such as the service: see `cloche.broker.executor`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from cloche.records.events import AnyEvent, Sink
from cloche.session.opened import nobody
from cloche.session.session import Session, open_session
from cloche.targets import acceptance, costing, making
from cloche.targets.description import Description
from cloche.targets.levels import Level
from cloche.targets.machines import machine_of, seed_for
from cloche.targets.replay import notes_of, session_for
from cloche.targets.results import (
    Asker,
    Built,
    Cost,
    Examined,
    Known,
    Offer,
    Place,
    Verdict,
    Want,
)


@contextmanager
def _opened(place: Place, sink: Sink = nobody) -> Iterator[Session]:
    with ExitStack() as stack:
        cluster = None
        if place.cluster is not None:
            from cloche.cluster.verifying import open_cluster  # it needs the extra `cluster`

            cluster = stack.enter_context(open_cluster(place.cluster, place.verified))
        yield stack.enter_context(
            open_session(
                place.project,
                store=place.store,
                engine=place.engine,
                sink=sink,
                proxies=place.proxies,
                elsewhere=cluster,
                waiting=lambda whom: None,
                slots=place.slots,
            )
        )


def examine(place: Place, description: Description, *, inject: bool = False) -> Examined:
    """What the project makes of a target. Raises ClocheError where it cannot build for it.

    ``inject`` says whether its code may take part: then nothing is said of that.
    """
    with _opened(place) as session:
        seed = seed_for(session.store, session.project, description)
        session = session_for(session, description)
        machine_of(session.project, description, "target", seed, ())
        return Examined(seed, tuple(notes_of(session, description, inject=inject)))


def build(
    place: Place,
    name: str,
    description: Description,
    want: Want,
    into: Path,
    sink: Callable[[AnyEvent], None] = lambda event: None,
) -> Built:
    """Build what a target wants; see `cloche.targets.making.build`. ``name`` is the target's."""
    with _opened(place, lambda event: sink(event)) as session:  # type: ignore[arg-type]
        return making.build(session, name, description, want, into)


def accept(
    place: Place, name: str, description: Description, offers: tuple[Offer, ...], level: Level
) -> tuple[Verdict, ...]:
    """Verdicts on packages for a target; see `cloche.targets.acceptance.accept`."""
    with _opened(place) as session:
        return acceptance.accept(session, name, description, offers, level)


def costs(place: Place, askers: tuple[Asker, ...], known: tuple[Known, ...]) -> tuple[Cost, ...]:
    """What each level would cost; see `cloche.targets.costing.costs`."""
    with _opened(place) as session:
        return costing.costs(session, askers, known)
