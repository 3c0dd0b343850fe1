"""Portage's own observability (FEATURES=observability, 3.0.82 and later).

``/run/portage/emerge-PID.sock`` streams newline-delimited JSON: the state on connecting, then one
line for each update, at least every two seconds; ``emerge-PID.json`` holds the last state. Schema 1
of Portage's ``_emerge/_observability.py``; kinds other than "snapshot" are ignored, as it requires.
It has no plan, no edges and no logs.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from cloche.decoding import NOT_DECODABLE

RUN = "run/portage"
LONGEST = 4 << 20  # bytes of one line


@dataclass(frozen=True, slots=True)
class Task:
    """A package that emerge works on. ``kind`` is "build" or "merge"."""

    cpv: str
    kind: str = "build"
    phase: str | None = None
    merge_wait: bool = False
    start_time: float | None = None


@dataclass(frozen=True, slots=True)
class Jobs:
    """Emerge's own counts."""

    total: int = 0
    failed: int = 0
    max: int | bool | None = 1


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What emerge is doing."""

    emerge_pid: int
    type: str = ""
    jobs: Jobs = field(default_factory=Jobs)
    tasks: tuple[Task, ...] = ()

    def by_cpv(self) -> Mapping[str, Task]:
        """Tasks by package."""
        return {task.cpv: task for task in self.tasks}


def decode(line: bytes) -> Snapshot | None:
    """A line of the stream, if it is a snapshot."""
    try:
        snapshot = msgspec.json.decode(line, type=Snapshot)
    except NOT_DECODABLE:
        return None
    return snapshot if snapshot.type == "snapshot" else None


class Observer:
    """Reads the state of one emerge, from its socket or, if that does not answer, its file."""

    def __init__(self, root: Path, inner: int) -> None:
        self._place = root / RUN / f"emerge-{inner}"
        self._inner = inner
        self._socket: socket.socket | None = None
        self._rest = b""
        self._last: Snapshot | None = None

    def look(self, seconds: float) -> Snapshot | None:
        """The newest state, waiting up to ``seconds``; None if this emerge publishes none."""
        if self._socket is None:
            self._connect()
        if self._socket is not None:
            self._read(seconds)
        else:
            self._last = self._from_file() or self._last
        return self._last

    @property
    def streams(self) -> bool:
        """Whether it is connected to a socket."""
        return self._socket is not None

    def close(self) -> None:
        """Close the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _connect(self) -> None:
        client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            client.settimeout(0.5)
            client.connect(str(self._place) + ".sock")
        except OSError:  # none, not ours to read, or too long a path
            client.close()
            return
        client.setblocking(False)
        self._socket, self._rest = client, b""

    def _read(self, seconds: float) -> None:
        assert self._socket is not None  # noqa: S101
        if not select.select([self._socket], [], [], seconds)[0]:
            return
        try:
            data = self._socket.recv(1 << 20)
        except OSError:
            data = b""
        if not data or len(self._rest) > LONGEST:
            self.close()
            return
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._take(decode(line))

    def _from_file(self) -> Snapshot | None:
        try:
            with Path(str(self._place) + ".json").open("rb") as file:
                snapshot = decode(file.read(LONGEST))
        except OSError:
            return None
        return snapshot if snapshot is not None and snapshot.emerge_pid == self._inner else None

    def _take(self, snapshot: Snapshot | None) -> None:
        if snapshot is not None and snapshot.emerge_pid == self._inner:
            self._last = snapshot
