"""The ends of logs: what one that still grows says now."""

from __future__ import annotations

import gzip
from pathlib import Path

from cloche.records.logs import found_log, open_log

REACH = 128 << 10  # bytes from a log's end that are looked at


def last_lines(log: str | None, number: int, reach: int = REACH) -> tuple[str, ...]:
    """The last lines of a log that are not empty, out of its last ``reach`` bytes."""
    if not log:
        return ()
    try:
        length, data = _end(Path(log), reach)
    except (OSError, EOFError):
        return ()
    lines = [line.rsplit("\r", 1)[-1] for line in data.decode(errors="replace").split("\n")]
    if length > reach:
        del lines[0]  # the middle of a line
    return tuple([line for line in lines if line.strip()][-number:])


def _end(log: Path, reach: int) -> tuple[int, bytes]:
    """The length of a log, and its last bytes; it may have been compressed since it was named."""
    with open_log(log) as file:
        if not isinstance(file, gzip.GzipFile):  # which cannot seek from its end
            length = file.seek(0, 2)
            file.seek(max(0, length - reach))
            return length, file.read(reach)
        length, data = 0, b""
        while more := file.read(reach):
            length += len(more)
            data = (data + more)[-reach:]
        return length, data


class Follower:
    """Reads a log again only when it grew, or when it is another one."""

    def __init__(self, lines: int) -> None:
        self._lines = lines
        self._seen: tuple[str | None, int] | None = None
        self._text: tuple[str, ...] = ()

    def look(self, log: str | None) -> tuple[str, ...]:
        """Its last lines now."""
        try:
            size = found_log(Path(log)).stat().st_size if log else 0
        except OSError:
            size = 0
        if self._seen != (log, size):
            self._seen = log, size
            self._text = last_lines(log, self._lines)
        return self._text
