"""Starting a broker, and asking it for engines and workers."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from multiprocessing.connection import Connection
from typing import Any

from cloche.broker.errors import BrokerError
from cloche.broker.messages import Answer, Called, EncodedCall, Failed, Returned, decode
from cloche.errors import ClocheError
from cloche.linux import descriptors
from cloche.sandbox import wire
from cloche.sandbox.base import Nature
from cloche.sandbox.launcher import Launcher, readable
from cloche.sandbox.local import LocalEngine

# Isolated, but with the modules of this process: they need not be where an environment has them.
_PROGRAM = (
    "import sys; sys.path[:] = sys.argv[3:]; from cloche.broker import process; process.main()"
)


class Broker:
    """The broker of this process. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket, theirs = descriptors.socket_pair()
        own = os.pidfd_open(os.getpid())
        places = [os.path.abspath(place) for place in sys.path if place]  # noqa: PTH100
        flags = ["-I", *(["-B"] if sys.dont_write_bytecode else [])]
        words = [sys.executable, *flags, "-c", _PROGRAM, str(theirs.fileno()), str(own), *places]
        try:
            # A session of its own: Ctrl-C is for this process to handle.
            self._process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                cwd="/",
                pass_fds=(theirs.fileno(), own),
                start_new_session=True,
            )
        except BaseException:
            self._socket.close()
            raise
        finally:
            descriptors.close(theirs)
            os.close(own)

    @property
    def pid(self) -> int:
        """The broker's process."""
        return self._process.pid

    def has_ended(self) -> bool:
        """Whether it has ended. It sends nothing unasked, so a readable socket is a closed one."""
        with self._lock:
            return self._socket.fileno() < 0 or readable(self._socket.fileno(), 0)

    def engine(self, name: str) -> LocalEngine:
        """Make an engine. Raises BrokerError, and the broker's own error."""
        report, (channel, pidfd) = self._ask({"engine": name})
        taken = socket.socket(fileno=channel)
        nature = Nature(**{**report["nature"], "isolates": tuple(report["nature"]["isolates"])})
        return LocalEngine(report["name"], nature, Launcher(report["pid"], pidfd, taken))

    def worker(self) -> Worker:
        """Fork a worker. Raises BrokerError, and the broker's own error."""
        report, (channel, pidfd) = self._ask({"engine": None})
        return Worker(report["pid"], pidfd, Connection(channel))

    def close(self) -> None:
        """End it and all its children. May be called twice."""
        with self._lock, contextlib.suppress(OSError), self._socket as ours:
            ours.shutdown(socket.SHUT_RDWR)  # forks of this process may have copies of it
        self._process.wait()

    def _ask(self, request: dict[str, Any]) -> tuple[dict[str, Any], list[int]]:
        report: dict[str, Any] | None = None
        with self._lock, contextlib.suppress(OSError):
            wire.send(self._socket, request)
            report, fds = wire.receive(self._socket)
        if report is None:
            raise BrokerError("broker", self.pid)
        if "error" in report:
            raise ClocheError.from_data(report["error"])
        return report, fds


class Worker:
    """A process that runs one call after another. For one thread at a time."""

    def __init__(self, pid: int, pidfd: int, connection: Connection[Any, Any]) -> None:
        self.pid = pid
        self._pidfd = pidfd
        self._connection = connection

    def has_ended(self) -> bool:
        """Whether it has ended."""
        return readable(self._pidfd, 0)

    def call(self, call: EncodedCall) -> Returned | Failed:
        """Run a call to its end. Raises BrokerError, and what a callback raises."""
        self._send(call.encoded)
        while isinstance(answer := self._receive(), Called):
            call.call_back(answer)
        return answer

    def close(self) -> None:
        """End it at once."""
        self._connection.close()
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
        os.close(self._pidfd)

    def _send(self, data: bytes) -> None:
        try:
            self._connection.send_bytes(data)
        except OSError:
            raise BrokerError("worker", self.pid) from None

    def _receive(self) -> Answer:
        try:
            raw = self._connection.recv_bytes()
        except (EOFError, OSError):
            raise BrokerError("worker", self.pid) from None
        answer: Answer = decode(raw, Answer)
        return answer
