"""Runs a program in a sandbox to its end, and keeps its output."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass

from cloche.sandbox.base import Command, Engine, Sandbox
from cloche.sandbox.copying import written_to


@dataclass(frozen=True, slots=True)
class Captured:
    """A program's exit status, and what it printed to standard output and error.

    ``whole`` is false if it printed more than the limit; the rest was dropped.
    """

    status: int
    text: str
    whole: bool = True

    @property
    def ok(self) -> bool:
        """Whether it succeeded."""
        return self.status == 0

    @property
    def last_line(self) -> str:
        """The last line that is not empty: usually the reason of a failure."""
        lines = self.text.strip().splitlines()
        return lines[-1] if lines else ""


def captured(
    engine: Engine, sandbox: Sandbox, command: Command, limit: int, stdin: int | None = None
) -> Captured:
    """Run a program, and keep at most ``limit`` bytes of its output. Raises SandboxError."""
    with tempfile.TemporaryFile() as said:
        with written_to(said, limit) as outlet:
            writer = outlet.writer
            process = engine.start(sandbox, command, stdin=stdin, stdout=writer, stderr=writer)
            outlet.given()
            try:
                ended = process.wait()
            finally:
                process.kill()
        said.seek(0)
        text = said.read().decode(errors="replace")
    return Captured(1 if ended is None else ended.status, text, not outlet.over)
