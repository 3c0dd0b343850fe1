"""Shows a build while it runs, and what is to be said of it at its end."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click

from cloche.building.errors import BuildError
from cloche.cli.options import say
from cloche.display.elog import Collector, drawn
from cloche.display.kinds import NAMES, Display, Streams, make_display
from cloche.display.live import Live
from cloche.display.text import one_line
from cloche.display.theme import theme_of
from cloche.records.events import Event

if TYPE_CHECKING:
    from cloche.session.session import Session

Function = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Shown:
    """A sink: the display of a build, and the messages of its ebuilds, told at the end.

    ``quiet``: these are left out, as the display is for a program that gets them as events.
    """

    display: Display
    quiet: bool = False
    collector: Collector = field(default_factory=Collector)

    def __call__(self, event: Event) -> None:
        """Show an event."""
        self.display(event)
        self.collector(event)

    @contextmanager
    def work_of(self, session: Session) -> Iterator[None]:
        """Show what a session does in a block. Failures are told, and so are ebuilds' messages."""
        self.display.attach(session.stop_package)
        try:
            yield
        except BaseException as error:
            self.display.close()  # before anything else is written to its terminal
            if isinstance(error, BuildError):
                tell_failures(error)
                error.detail = None  # already printed
            raise
        finally:
            self.display.close()
            if not self.quiet:
                for line in drawn(self.collector.said, theme_of(sys.stderr)):
                    click.echo(line, err=True, color=True)


def progress_options(function: Function) -> Function:
    """Options of commands that show a build: see `opened_display`."""
    verbose = click.option("-v", "--verbose", is_flag=True, help="Also show the phases.")
    shown = click.option(
        "--progress",
        type=click.Choice(NAMES),
        default="auto",
        help="Live display, plain lines, or JSON events [auto: live on a terminal].",
    )
    return shown(verbose(function))


def opened_display(progress: str, *, verbose: bool) -> Display:
    """The display that ``--progress`` names."""
    display = make_display(progress, Streams(sys.stdout, sys.stderr, os.environ, verbose))
    if progress == "live" and not isinstance(display, Live):
        say("live display unavailable on this terminal; using plain output")
    return display


def tell_failures(error: BuildError) -> None:
    """Show the end of each failed log and what is known about the cause."""
    for each in error.errors:
        say()
        if each.detail:
            say(each.detail)
        say(one_line(f"{each.where}: {each.what}" if each.where else each.what))
        if each.todo:
            say(f"  {each.todo}")
        if enter := getattr(each, "enter", None):
            say(f"  inspect its root: {enter}")
    say()
