"""Running a command in a root with the streams of ours."""

from __future__ import annotations

import errno
import sys

from cloche.building.root import Root
from cloche.cli.options import say
from cloche.cli.streams import Streams
from cloche.display.text import one_line
from cloche.sandbox.base import Command, Engine
from cloche.sandbox.errors import ProgramError
from cloche.tasks.guestcall import ENVIRONMENT


def run_in(engine: Engine, root: Root, words: tuple[str, ...]) -> int:
    """Run a command with our streams; return its exit status."""
    tty = sys.stdin.isatty() and sys.stdout.isatty()
    environment = {**ENVIRONMENT, "TERM": "xterm-256color" if tty else "dumb", **root.environment}
    streams = Streams(tty=tty)
    try:
        process = engine.start(
            root.sandbox,
            Command(words, environment, cwd=root.cwd, tty=tty),
            stdin=streams.stdin,
            stdout=streams.stdout,
            stderr=streams.stderr,
        )
    except ProgramError as error:  # as a shell has it
        say(f"cloche: {one_line(str(error))}")
        return 127 if error.errno == errno.ENOENT else 126
    finally:
        streams.given()
    ended = process.wait()
    streams.join()
    return ended.status if ended else 1
