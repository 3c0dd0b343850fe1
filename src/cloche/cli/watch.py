"""`cloche watch`."""

from __future__ import annotations

import shlex
import sys
import time
from pathlib import Path

import click

from cloche.cli.options import say
from cloche.cli.showing import opened_display, progress_options
from cloche.display.plain import Plain
from cloche.display.text import one_line
from cloche.errors import ClocheError
from cloche.records.events import Done, Event, Note
from cloche.watch.processes import Emerge, is_alive, is_open, join, running_emerges
from cloche.watch.watching import unreadable_emerge
from cloche.watch.watching import watch as follow

AGAIN = 0.5  # seconds between two searches for an emerge


@click.command(
    epilog="""\b
Examples:
  cloche watch
  cloche watch --root /mnt/gentoo --wait
  cloche watch --progress json | jq -c 'select(.event=="done")'
"""
)
@click.option(
    "--root",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Only an emerge whose root is this directory.",
)
@click.option("--pid", type=int, help="Only this emerge.")
@click.option("--wait", is_flag=True, help="If no emerge is running, wait for the next one.")
@progress_options
def watch(root: Path | None, pid: int | None, wait: bool, progress: str, verbose: bool) -> None:
    """Show what a running emerge does, in any root.

    This is for an emerge outside of cloche. Run it as the user of the emerge, or as root. An emerge
    with FEATURES=observability shows every detail; for others, the information comes from
    emerge.log and the process list. The emerge is not affected.
    """
    found, hidden = _found(root, pid)
    told: set[int] = set()
    while not found and wait and (pid is None or is_alive(pid)):
        for emerge in hidden:
            if emerge.pid not in told:
                say(one_line(_hidden(emerge)))
        told.update(emerge.pid for emerge in hidden)
        time.sleep(AGAIN)
        found, hidden = _found(root, pid)
    if not found and hidden:
        raise unreadable_emerge(hidden[-1].pid, "it runs as another user")
    if not found:
        place = f" in {root}" if root else ""
        raise ClocheError(
            f"no emerge is running{place}", todo="use --wait to wait for the next one"
        )
    join(found[-1])
    display = opened_display(progress, verbose=verbose)
    failed: list[Done] = []

    def sink(event: Event) -> None:
        display(event)
        if isinstance(event, Done) and event.how == "failed":
            failed.append(event)

    try:
        for other in found[:-1]:
            words = shlex.join(("emerge", *other.argv))
            display(Note(text=f"another emerge is running: {words} (--pid {other.pid})"))
        for other in hidden:
            display(Note(text=_hidden(other)))
        follow(found[-1], sink)
    finally:
        display.close()
        sys.stdout.flush()
    if isinstance(display, Plain):  # the live display has shown them already
        _tell_failures(failed)


def _found(root: Path | None, pid: int | None) -> tuple[list[Emerge], list[Emerge]]:
    """The matching emerges, newest last: those that we may inspect, and those that we may not."""
    fit = [emerge for emerge in running_emerges(root) if pid is None or emerge.pid == pid]
    opened = [emerge for emerge in fit if is_open(emerge)]
    return opened, [emerge for emerge in fit if emerge not in opened]


def _hidden(emerge: Emerge) -> str:
    """The note about an emerge that is not followed."""
    words = shlex.join(("emerge", *emerge.argv))
    return f"{words} (pid {emerge.pid}) runs as another user and cannot be inspected"


def _tell_failures(failed: list[Done]) -> None:
    """Print the lines of each failed log that explain the failure."""
    for event in failed:
        say()
        for line in event.lines:
            say(line)
        say(one_line(f"{event.package}: failed; {event.reason or 'no log of it was seen'}"))
