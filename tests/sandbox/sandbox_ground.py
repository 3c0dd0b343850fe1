"""What the checks of an engine stand on: an engine, a directory, and a root with a few programs."""

from __future__ import annotations

import contextlib
import shlex
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cloche.engines.choice import make_engine
from cloche.sandbox.base import Bind, Command, Ended, Engine, Sandbox

PATIENCE = 10.0  # seconds, for a script that an engine lets hang
ENV = {"PATH": "/bin", "HOME": "/"}


@dataclass
class Ground:
    name: str
    engine: Engine
    directory: Path
    root: Path

    def another(self) -> Engine:
        """Make one more engine of the same kind."""
        return make_engine(self.name)

    def fresh(self) -> Path:
        return Path(tempfile.mkdtemp(dir=self.directory))

    def sandbox(self, *more: Path, **fields: object) -> Sandbox:
        return Sandbox(lowers=(self.root, *more), **fields)  # type: ignore[arg-type]

    def shell(
        self, script: str, sandbox: Sandbox | None = None, **fields: object
    ) -> tuple[Ended, str]:
        """Run a script; return how it ended and what it wrote to both streams."""
        stdin = fields.pop("stdin", None)
        fields.setdefault("timeout", PATIENCE)
        fields.setdefault("argv", ("/bin/sh", "-c", script))
        command = Command(env=ENV, **fields)  # type: ignore[arg-type]
        with tempfile.TemporaryFile() as out:
            sandbox = sandbox or self.sandbox()
            streams = {"stdin": stdin, "stdout": out.fileno(), "stderr": out.fileno()}
            process = self.engine.start(sandbox, command, **streams)  # type: ignore[arg-type]
            ended = process.wait()
            out.seek(0)
            return ended, out.read().decode()

    def python(
        self, script: str, *layers: Path, binds: tuple[Bind, ...] = (), **fields: object
    ) -> tuple[Ended, str]:
        """Run a script in the host's Python, shown to a sandbox for the purpose."""
        shown = {Path("/usr"), Path(sys.base_prefix)}
        binds += tuple(Bind(path, str(path)) for path in shown if path.parent not in shown)
        executable = Path(sys.base_prefix, "bin/python3")
        return self.shell(
            f"exec {executable} -I -S -c {shlex.quote(script)}",
            self.sandbox(*layers, binds=binds),
            **fields,
        )


def raises(kind: type[Exception], call: Callable[[], object]) -> Exception:
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"{kind.__name__} was not raised")


def alive(marker: str) -> list[str]:
    """Return the processes of the host with ``marker`` in their command line."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if marker.encode() in path.read_bytes().split(b"\0"):
                found.append(path.parent.name)
    return found


def gone(marker: str) -> bool:
    deadline = time.monotonic() + 5
    while alive(marker) and time.monotonic() < deadline:
        time.sleep(0.01)
    return not alive(marker)
