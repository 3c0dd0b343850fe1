"""The displays of a build by name: what `--progress` offers. A new one is a row.

A display hears events, from several threads but one at a time, until it is closed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, TextIO

from cloche.display.live import Live, capable
from cloche.display.plain import JsonLines, Plain
from cloche.records.events import Event


class Display(Protocol):
    """Shows a build."""

    def __call__(self, event: Event) -> None:
        """Show one event."""

    def attach(self, stop: Callable[[str], None]) -> None:
        """Let a person stop a package: ``stop`` takes its id. Most displays have no keys for it."""

    def close(self) -> None:
        """End the display and restore the terminal."""


@dataclass(frozen=True, slots=True)
class Streams:
    """What a display may write to; ``environment`` says what the terminal can do (TERM)."""

    out: TextIO
    err: TextIO
    environment: Mapping[str, str]
    verbose: bool = False


def _live(streams: Streams) -> Display | None:
    return Live(streams.err) if capable(streams.err, streams.environment) else None


KINDS: Mapping[str, Callable[[Streams], Display | None]] = {
    "live": _live,
    "plain": lambda streams: Plain(streams.err, verbose=streams.verbose),
    "json": lambda streams: JsonLines(streams.out),
}
NAMES = ("auto", *KINDS)


def make_display(name: str, streams: Streams) -> Display:
    """The display of that name if it can be shown; for "auto", the first that can."""
    for each in (name, *KINDS):
        if each in KINDS and (display := KINDS[each](streams)) is not None:
            return display
    raise AssertionError("lines can be written anywhere")
