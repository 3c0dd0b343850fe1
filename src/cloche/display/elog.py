"""Messages of ebuilds as emerge shows them at its end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

from cloche.build.elog import SHOWN, Level, Message
from cloche.build.events import Elog, Event
from cloche.display.text import one_line
from cloche.display.theme import Theme

STYLES: dict[str, str] = {"log": "built", "warn": "again", "error": "failed", "qa": "running"}

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
    """Lines for the messages of each package, those of other levels left out."""
    wanted = set(levels)
    shown = [(package, message) for package, message in said if message.level in wanted]
    by_package = sorted(shown, key=lambda each: each[0])  # what two packages said is not mixed
    for package, group in groupby(by_package, key=lambda each: each[0]):
        yield ""
        yield _line(theme, "log", f"Messages of {package.split('::')[0]}:")
        for _, message in group:
            for text in message.lines:
                yield _line(theme, message.level, text)


def _line(theme: Theme, level: str, text: str) -> str:
    return theme.draw([(" * ", STYLES[level]), (one_line(text), "")], len(text) * 8 + 3)
