"""What ebuilds say to their users with elog, ewarn, eerror and eqawarn, as Portage collects it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .protocol import Failed

MOST_MESSAGES = 200
MOST_LINES = 500  # of one message
LONGEST_LINE = 2000  # characters


class Collected:
    """The messages of one step, in the order of its phases."""

    def __init__(self, cpv: str) -> None:
        self.cpv = cpv
        self.messages: list[dict[str, Any]] = []

    def process(self, settings: Any) -> None:
        """Take what the package's phases have said so far."""
        from portage.elog import elog_process

        elog_process(self.cpv, settings)

    def listen(self, _: Any, __: str, entries: dict[str, list[Any]], ___: str) -> None:
        """Take what Portage collected; it calls its listeners like that."""
        from portage.const import EBUILD_PHASES

        for phase in EBUILD_PHASES:
            for level, said in entries.get(phase, ()):
                lines = [said] if isinstance(said, str) else said
                short = [line.rstrip("\n")[:LONGEST_LINE] for line in lines[:MOST_LINES]]
                self.messages.append({"phase": phase, "level": level.lower(), "lines": short})
        del self.messages[MOST_MESSAGES:]


@contextmanager
def collected(cpv: str, settings: Any) -> Iterator[Collected]:
    """Collect the messages of a package for a block; what fails in it has them, too."""
    from portage.elog import add_listener, remove_listener

    found = Collected(cpv)
    add_listener(found.listen)
    try:
        yield found
        found.process(settings)
    except Failed as failure:
        found.process(settings)
        failure.fields["elog"] = found.messages
        raise
    finally:
        remove_listener(found.listen)
