"""An engine that outlives the death of its launcher."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING

from cloche.engines import choice
from cloche.linux import processes
from cloche.sandbox.base import Command, Engine, Sandbox
from cloche.sandbox.errors import LauncherError
from cloche.sandbox.local import LocalEngine, LocalProcess

if TYPE_CHECKING:
    from cloche.broker.client import Broker

_SOON = 1.0  # seconds within which a dead broker's launcher ends as well


class RestartingEngine(Engine):
    """An engine for any process. Safe to use from several threads.

    Its launcher is a child of this process where that can fork one (uid 0, also of a user
    namespace, without threads), which is faster; else of a broker. When the launcher or the broker
    dies, running commands raise LauncherError, and the next start makes new ones. The engine
    belongs to the process that made it, not to forks of it.
    """

    def __init__(self, name: str = choice.DEFAULT) -> None:
        """Start a launcher. Raises ClocheError."""
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
            if self._has_ended():
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

    def _has_ended(self) -> bool:
        broker_ended = self._broker is not None and self._broker.has_ended()
        return broker_ended or self._engine.launcher.has_ended()

    def _open(self) -> tuple[Broker | None, LocalEngine]:
        if os.geteuid() == 0 and not processes.has_threads():
            return None, choice.make_engine(self._wanted)
        from cloche.broker.client import Broker  # the command line need not load it

        broker = Broker()
        try:
            return broker, broker.engine(self._wanted)
        except BaseException:
            broker.close()
            raise

    def _close(self) -> None:
        self._engine.close()
        if self._broker is not None:
            self._broker.close()
