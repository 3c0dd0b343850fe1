"""Finds the lines of catalyst's log that say why it failed, without its own notices."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from cloche.records.errorlines import LIMIT

_TAIL = 256 << 10  # bytes that are read
_OWN = re.compile(r"\d\d \w{3} \d{4} \d\d:\d\d:\d\d \w+: (?P<level>[A-Z]+) *: (?P<text>.*)")
#: The same once more, where another library has set up Python's logging.
_AGAIN = re.compile(r"(DEBUG|INFO|NOTICE|WARNING|ERROR|CRITICAL):catalyst:")
_TRACEBACK = "Traceback (most recent call last):"
_SAID = ("catalyst.support.CatalystError: ", "SystemExit")  # its text is a line before


def why_failed(log: Path) -> tuple[str, ...]:
    """The last lines of the log that are not notices: of programs, and catalyst's own errors.

    Raises OSError.
    """
    with log.open("rb") as file:
        file.seek(max(0, file.seek(0, 2) - _TAIL))
        text = file.read().decode("utf-8", "replace")
    return tuple(_lines(text.splitlines()))[-LIMIT:]


def _lines(lines: Iterable[str]) -> Iterator[str]:
    inside = False  # of a traceback, which ends at its first line that is not indented
    for line in lines:
        if line.startswith(_TRACEBACK):
            inside = True
        elif inside:
            inside = line.startswith(" ") or not line
            if not inside and not line.startswith(_SAID):
                yield line
        elif own := _OWN.match(line):
            if own["level"] in ("ERROR", "CRITICAL") and "action sequence" not in own["text"]:
                yield own["text"]
        elif line.strip() and not _AGAIN.match(line):
            yield line.rstrip()
