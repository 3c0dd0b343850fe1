"""Checks whether an engine works on this host by making a sandbox with it."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from cloche.engines.choice import NAMES, make_engine, nature_of
from cloche.errors import ClocheError
from cloche.probing import host
from cloche.sandbox.base import Nature


@dataclass(frozen=True, slots=True)
class Availability:
    """Whether an engine works here; ``reason`` and ``todo`` are those of the error if not.

    ``nature`` has its properties either way.
    """

    name: str
    nature: Nature
    reason: str | None = None
    todo: str | None = None

    @property
    def there(self) -> bool:
        """True if it made a sandbox."""
        return self.reason is None


def look(name: str, directory: Path) -> Availability:
    """Try an engine with a sandbox whose layers lie in ``directory``.

    Call it after `userns.enter`, in a process without threads. Raises ClocheError.
    """
    nature = nature_of(name)
    try:
        host.check_ids()
        with make_engine(name, provide=False) as engine:
            host.check(engine, directory)
            nature = engine.nature  # which of several tools it is, and what that means here
    except ClocheError as error:
        return Availability(name, nature, error.what, error.todo)
    return Availability(name, nature)


def available(names: tuple[str, ...] = NAMES) -> list[Availability]:
    """Try engines, all by default; see `look`."""
    with tempfile.TemporaryDirectory(prefix="cloche-engines-") as directory:
        return [look(name, Path(directory)) for name in names]
