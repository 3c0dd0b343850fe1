"""What the checks of the broker stand on."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from sandbox_ground import alive

ENV = {"PATH": "/bin", "HOME": "/"}
E = TypeVar("E", bound=Exception)


@dataclass(frozen=True)
class Ground:
    """A directory of the user's, a root with a few programs, and a store with three layers."""

    directory: Path
    root: Path
    store: Path

    def fresh(self) -> Path:
        return Path(tempfile.mkdtemp(dir=self.directory))


def raises(kind: type[E], call: Callable[[], object]) -> E:
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"{kind.__name__} was not raised")


def still_there(pids: Iterable[int]) -> list[int]:
    """Those of some processes that run; a zombie does not."""
    found = []
    for pid in sorted(pids):
        try:
            state = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0]
        except OSError:
            continue
        if state != b"Z":
            found.append(pid)
    return found


def begun(marker: str, wanted: int) -> list[int]:
    """The processes with this word in their command line, when there are so many of them."""
    settled(lambda: [0] * (wanted - len(alive(marker))))
    return [int(pid) for pid in alive(marker)]


def settled(look: Callable[[], list[int]]) -> list[int]:
    """What is left when there was time."""
    end = time.monotonic() + 10
    while (left := look()) and time.monotonic() < end:
        time.sleep(0.01)
    return left
