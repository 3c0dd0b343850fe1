"""What ebuilds say to their users with elog, ewarn, eerror and eqawarn, as Portage collects it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import groupby
from typing import Any

from .protocol import Failed

MOST_MESSAGES = 200
MOST_LINES = 500  # of one message
LONGEST_LINE = 2000  # characters
#: How Portage's text about files of nobody begins, says that they are nobody's, and ends.
OVERWRITES = "This package will overwrite one or more files"
UNOWNED = "None of the installed packages claim the file(s)."
ABOVE = "message."


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
            for level, lines in joined(entries.get(phase, ())):
                own = without_collisions_of_the_seed(lines)
                short = [line.rstrip("\n")[:LONGEST_LINE] for line in own[:MOST_LINES]]
                if short:
                    said = {"phase": phase, "level": level.lower(), "lines": short}
                    self.messages.append(said)
        del self.messages[MOST_MESSAGES:]


def joined(entries: Iterable[tuple[str, str | list[str]]]) -> Iterator[tuple[str, list[str]]]:
    """Messages of one level that follow each other, as one: Portage's own are a line each."""
    for level, group in groupby(entries, key=lambda entry: entry[0]):
        said = [lines for _, lines in group]
        yield level, [line for each in said for line in ([each] if isinstance(each, str) else each)]


def without_collisions_of_the_seed(lines: list[str]) -> list[str]:
    """The lines but for what Portage tells of files that it overwrites and nobody owns.

    A Debian seed has many of them, which is no matter for a user (dblink._collision_protect).
    """
    begin = next((n for n, line in enumerate(lines) if line.startswith(OVERWRITES)), None)
    if begin is None or UNOWNED not in lines[begin:]:
        return lines
    owner = lines.index(UNOWNED, begin)
    end = next((n for n, line in enumerate(lines) if n > owner and line.endswith(ABOVE)), None)
    return lines if end is None else lines[:begin] + lines[end + 1 :]


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
