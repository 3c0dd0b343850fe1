"""Messages of ebuilds as emerge shows them at its end."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import groupby, takewhile

from cloche.display.text import one_line
from cloche.display.theme import Theme
from cloche.plan.names import bare
from cloche.records.elog import SHOWN, Level, Message
from cloche.records.events import Elog, Event

STYLES: dict[str, str] = {"log": "built", "warn": "again", "error": "failed", "qa": "running"}

_DIED = re.compile(r"ERROR: \S+ failed \(\w+ phase\):")

Said = tuple[str, Message]  # of the package with this id


class Collector:
    """A sink that keeps the messages of a build."""

    def __init__(self) -> None:
        self.said: list[Said] = []

    def __call__(self, event: Event) -> None:
        """Keep the messages of one step."""
        if isinstance(event, Elog):
            self.said += [(event.package, message) for message in event.messages]


def drawn(said: Iterable[Said], theme: Theme, levels: Iterable[Level] = SHOWN) -> Iterator[str]:
    """Lines for the messages of each package, those of other levels left out.

    What pkg_setup says when a package is built it says again when it is merged: once is enough.
    """
    wanted = set(levels)
    shown = [each for each in dict.fromkeys(said) if each[1].level in wanted]
    by_package = sorted(shown, key=lambda each: each[0])  # what two packages said is not mixed
    for package, group in groupby(by_package, key=lambda each: each[0]):
        lines = [(each.level, line) for _, each in group for line in _own(each)]
        if lines:
            yield ""
            yield _line(theme, "log", f"Messages for package {bare(package)}:")
            yield ""
            yield from (_line(theme, level, line) for level, line in lines)


def _own(message: Message) -> Iterator[str]:
    """The lines before those of Portage's die: these are shown with the failure itself."""
    return takewhile(lambda line: _DIED.match(line) is None, message.lines)


def _line(theme: Theme, level: str, text: str) -> str:
    return theme.draw([(" * ", STYLES[level]), (one_line(text), "")], len(text) * 8 + 3)
