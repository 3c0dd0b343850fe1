"""Whole calls for programs that cannot open a session themselves: with threads, as ordinary users.

`cloche.broker.executor.Workers` carries them out in processes of its own, with events on the way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cloche.records.events import AnyEvent
from cloche.session.building import Result
from cloche.session.choices import Choices
from cloche.session.session import open_session


@dataclass(frozen=True, slots=True)
class Where:
    """What `open_session` takes: the project's directory, the store, the engine, proxies."""

    directory: Path
    store: Path | None = None
    engine: str = "native"
    proxies: Mapping[str, str] = field(default_factory=dict)


def build(
    where: Where,
    machine: str,
    choices: Choices = Choices(),
    output: Path | None = None,
    sink: Callable[[AnyEvent], None] = lambda event: None,
) -> Result:
    """Build a machine; see `Session.build`."""
    with open_session(
        where.directory,
        store=where.store,
        engine=where.engine,
        sink=lambda event: sink(event),  # type: ignore[arg-type]
        proxies=where.proxies,
        waiting=lambda whom: None,
    ) as session:
        return session.build(machine, choices, output)
