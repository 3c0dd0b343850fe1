"""Collects the messages of ebuilds (elog, ewarn, eerror, eqawarn) through Portage."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import groupby
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
        """Collect the messages of the phases that have run so far."""
        from portage.elog import elog_process

        elog_process(self.cpv, settings)

    def listen(self, _: Any, __: str, entries: dict[str, list[Any]], ___: str) -> None:
        """Store what Portage collected; this is the signature of its listeners."""
        from portage.const import EBUILD_PHASES

        for phase in EBUILD_PHASES:
            for level, lines in joined(entries.get(phase, ())):
                short = [line.rstrip("\n")[:LONGEST_LINE] for line in lines[:MOST_LINES]]
                if short:
                    said = {"phase": phase, "level": level.lower(), "lines": short}
                    self.messages.append(said)
        del self.messages[MOST_MESSAGES:]


def joined(entries: Iterable[tuple[str, str | list[str]]]) -> Iterator[tuple[str, list[str]]]:
    """Join consecutive messages of one level: Portage sends its own line by line."""
    for level, group in groupby(entries, key=lambda entry: entry[0]):
        said = [lines for _, lines in group]
        yield level, [line for each in said for line in ([each] if isinstance(each, str) else each)]


@contextmanager
def collected(cpv: str, settings: Any) -> Iterator[Collected]:
    """Collect a package's messages during a block; a Failed that it raises gets them, too."""
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
