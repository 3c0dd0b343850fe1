"""Fuzz one target for a while, guided by coverage: ``python -m tests.fuzz.run TARGET SECONDS DIR``.

Without arguments it lists the targets. It begins with valid data and with what earlier runs learned
(`learned`). DIR keeps the inputs that reach new code, so that the next run goes on from there. A
fault ends the run with its traceback, and its input lies in DIR as
``crash-…``, ``timeout-…`` or ``oom-…``.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from pathlib import Path

import atheris
from tests.fuzz import learned

with atheris.instrument_imports(include=["cloche", "tomllib"]):
    from tests.fuzz.targets import TARGETS

LONGEST = 1 << 14  # bytes of one input
SLOWEST = 5  # seconds for one input
MEMORY = 1024  # MiB
QUICK = "/dev/shm"  # a file system in memory: three times as many inputs a second


def main(name: str, seconds: str, directory: str) -> None:
    """Fuzz until the time is over; libFuzzer ends the process itself."""
    if os.access(QUICK, os.W_OK):
        tempfile.tempdir = QUICK
    target, room = TARGETS[name], Path(directory)
    corpus = room / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for each in (*target.inputs(), *learned.inputs(name)):
        (corpus / hashlib.sha256(each).hexdigest()[:16]).write_bytes(each)
    options = {
        "max_total_time": seconds,
        "max_len": str(LONGEST),
        "timeout": str(SLOWEST),
        "rss_limit_mb": str(MEMORY),
        "artifact_prefix": f"{room}/",
        "verbosity": "0",
        "print_final_stats": "1",
    }
    words = [f"-{key}={value}" for key, value in options.items()]
    atheris.Setup([sys.argv[0], *words, str(corpus)], target)
    atheris.Fuzz()


if __name__ == "__main__":
    if sys.argv[1:]:
        main(*sys.argv[1:])
    else:
        print("\n".join(TARGETS))
