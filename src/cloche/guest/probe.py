"""Tries what of the host is visible in this sandbox, and what works in it.

``cloche engines --probe`` starts it like the other scripts, but it is not part of any key. The
request says what the host has prepared (``probing/traps.py``). Each attempt is answered by
``{"event": "answer", "id", "yes", "detail"}``, where ``yes`` is null if it could not be tried.
"""

from __future__ import annotations

import sys
from pathlib import Path

if not __package__:
    sys.path.insert(0, str(Path(__file__).parents[1]))
    __package__ = "guest"

import os
import time
from collections.abc import Callable
from typing import Any

from . import probe_rights, probe_shows
from .protocol import Channel, serve

Attempt = Callable[[dict[str, Any]], tuple[bool | None, str]]
LONGEST = 300  # characters of a detail
_TRUE = "/bin/true"


def main(request: dict[str, Any], channel: Channel) -> dict[str, Any]:
    """Make the attempts that the request names, or run the jobs to measure."""
    if jobs := request.get("jobs"):
        return {
            "file": files(Path(request["work"]), jobs["files"], jobs["seconds"]),
            "process": processes(jobs["processes"], jobs["seconds"]),
        }
    attempts: dict[str, Attempt] = {**probe_shows.ATTEMPTS, **probe_rights.ATTEMPTS}
    for name in request["questions"]:
        try:
            yes, detail = attempts[name](request)
        except Exception as error:
            yes, detail = None, f"could not be tried: {type(error).__name__}: {error}"
        channel.event("answer", id=name, yes=yes, detail=detail[:LONGEST])
    return {}


def files(directory: Path, count: int, seconds: float) -> float:
    """Create, stat and unlink up to ``count`` files, for up to ``seconds``; seconds per file."""
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
    """Run a program up to ``count`` times, for up to ``seconds``; seconds per process."""
    began = time.monotonic()
    done = 0
    while done < count and (done < 10 or time.monotonic() - began < seconds):
        _, status = os.waitpid(os.posix_spawn(_TRUE, (_TRUE,), {}), 0)
        if status:
            raise OSError(f"{_TRUE} ended with {status}")
        done += 1
    return (time.monotonic() - began) / done


if __name__ == "__main__":
    serve(main)
