"""Small words for numbers, as people read them."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence

#: How what was done to something is marked, in the order of lists.
SIGNS = {"added": "+", "changed": "~", "removed": "-"}
NAMED = 4  # machines that are named before the others are counted
# What would steer a terminal, or turn the direction of what follows (Unicode TR 36).
_STEERING = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def visible(text: str) -> str:
    """Text that cannot steer a terminal: control characters as escapes, line ends and tabs kept."""
    return _STEERING.sub(lambda found: ascii(found[0])[1:-1], text)


def one_line(text: str) -> str:
    """The same on one line."""
    return visible(text.replace("\n", "\\n").replace("\t", " "))


def seconds(value: float) -> str:
    """``0.4 s``, ``12.3 s``, ``3 min 20 s``, ``2 h 05 min``."""
    if value < 100:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"


def date(when: float) -> str:
    """A time in seconds since the epoch, in local time to the minute: ``2026-11-30 09:05``."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(when))


def size(value: int) -> str:
    """Bytes with a binary prefix: ``512 B``, ``1.5 KiB``, ``744 MiB``."""
    number = float(value)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if number < 1024:
            return (
                f"{number:.0f} {unit}" if unit == "B" or number >= 100 else f"{number:.1f} {unit}"
            )
        number /= 1024
    return f"{number:.1f} TiB"


def count(number: int, one: str, many: str | None = None) -> str:
    """``1 package``, ``3 packages``."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def for_whom(package: str, machines: Mapping[str, Sequence[str]]) -> str:
    """``  for web, kiosk``: the machines that a package is for, where there are several."""
    named = machines.get(package, ())
    if not named:
        return ""
    more = f" and {len(named) - NAMED} more" if len(named) > NAMED else ""
    return f"  for {', '.join(named[:NAMED])}{more}"
