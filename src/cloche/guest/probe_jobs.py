"""Two jobs of the kinds that builds consist of, to measure what an engine costs them."""

from __future__ import annotations

import os
import time
from pathlib import Path

_TRUE = "/bin/true"


def files(directory: Path, count: int, seconds: float) -> float:
    """Create, stat and unlink small files, at most so many or so long; give seconds a file."""
    began = time.monotonic()
    done = 0
    while done < count and (done < 10 or time.monotonic() - began < seconds):
        path = directory / f"file-{done}"
        with path.open("wb") as stream:
            stream.write(b"x" * 1000)
        path.stat()
        path.unlink()
        done += 1
    return (time.monotonic() - began) / done


def processes(count: int, seconds: float) -> float:
    """Start a program and wait for it, at most so often or so long; give seconds a process."""
    began = time.monotonic()
    done = 0
    while done < count and (done < 10 or time.monotonic() - began < seconds):
        _, status = os.waitpid(os.posix_spawn(_TRUE, (_TRUE,), {}), 0)
        if status:
            raise OSError(f"{_TRUE} ended with {status}")
        done += 1
    return (time.monotonic() - began) / done
