"""An engine for programs with threads, which outlives the death of its broker."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from cloche.broker.client import Broker
from cloche.engines import choice
from cloche.sandbox.base import Command, Engine, Sandbox
from cloche.sandbox.errors import LauncherError
from cloche.sandbox.local import LocalEngine, LocalProcess

_SOON = 1.0  # seconds within which a dead broker's launcher ends as well


class BrokeredEngine(Engine):
    """An engine whose launcher is a broker's child. Safe to use from several threads.

    When the broker or the launcher dies, running commands raise LauncherError, and the next start
    makes new ones. The engine belongs to the process that made it, not to forks of it.
    """

    def __init__(self, name: str = choice.DEFAULT) -> None:
        """Start a broker. Raises ClocheError."""
        choice.nature_of(name)
        self._wanted = name
        self._lock = threading.Lock()
        self._closed = False
        self._broker, self._engine = self._open()
        self.name = self._engine.name
        self.nature = self._engine.nature

    def start(
        self,
        sandbox: Sandbox,
        command: Command,
        *,
        stdin: int | None = None,
        stdout: int | None = None,
        stderr: int | None = None,
        fds: Mapping[int, int] | None = None,
    ) -> LocalProcess:
        """Start a command; see `Engine.start`. All paths have to be absolute."""
        with self._lock:
            if self._closed:
                raise LauncherError(self._engine.launcher.pid)
            if self._broker.has_ended() or self._engine.launcher.has_ended():
                self._engine.launcher.has_ended(_SOON)  # what runs ends by that, not by the closing
                self._close()
                self._broker, self._engine = self._open()
            engine = self._engine
        return engine.start(sandbox, command, stdin=stdin, stdout=stdout, stderr=stderr, fds=fds)

    def close(self) -> None:
        """End all sandboxes, the launcher and the broker. May be called twice."""
        with self._lock:
            self._closed = True
            self._close()

    def _open(self) -> tuple[Broker, LocalEngine]:
        broker = Broker()
        try:
            return broker, broker.engine(self._wanted)
        except BaseException:
            broker.close()
            raise

    def _close(self) -> None:
        self._engine.close()
        self._broker.close()
