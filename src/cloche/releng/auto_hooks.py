"""Calls the hooks of catalyst-auto's configuration: one at a time, each with its own log."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cloche.errors import ClocheError, Exit
from cloche.linux.processes import end_session
from cloche.releng.auto_conf import AutoConf, command_of, environment_of
from cloche.releng.journal import HookEnded

_GRACE = 5.0  # seconds between SIGTERM and SIGKILL


@dataclass(slots=True)
class Hooks:
    """Runs hooks. Safe to use from several threads: hooks wait for each other.

    ``environment`` has catalyst-auto's variables, ``cwd`` is the directory in which hooks start,
    and ``logs`` that of their logs. ``ended`` is called after each.
    """

    conf: AutoConf
    environment: Mapping[str, str]
    cwd: Path
    logs: Path
    ended: Callable[[HookEnded], None]
    _turn: threading.Lock = field(default_factory=threading.Lock)
    _changing: threading.Lock = field(default_factory=threading.Lock)
    _process: subprocess.Popen[bytes] | None = None
    _stopped: bool = False

    def __call__(self, name: str, *words: str) -> bool:
        """Call a hook with its arguments; return whether its status is 0. Raises ClocheError.

        Its output is appended to NAME.log.
        """
        log = self.logs / f"{name}.log"
        with self._turn, log.open("ab") as target:
            began = time.monotonic()
            target.write(f"*** {' '.join((name, *words))}\n".encode("utf-8", "replace"))
            target.flush()
            with self._changing:
                if self._stopped:
                    raise ClocheError(f"{name}: interrupted", status=Exit.INTERRUPTED)
                self._process = subprocess.Popen(
                    command_of(self.conf, "hook", name, *words),
                    env=environment_of(self.conf, self.environment),
                    cwd=self.cwd,
                    stdin=subprocess.DEVNULL,
                    stdout=target,
                    stderr=target,
                    start_new_session=True,
                )
            status = self._process.wait()
        took = time.monotonic() - began
        self.ended(HookEnded(words=(name, *words), status=status, seconds=took, log=str(log)))
        return status == 0

    def stop(self) -> None:
        """End the hook that runs, with all processes of its session; later calls are refused."""
        with self._changing:
            self._stopped = True
            process = self._process
        if process is not None and process.poll() is None:
            end_session(process, _GRACE)
