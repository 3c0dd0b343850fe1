"""Parses durations and sizes."""

from __future__ import annotations

import re

_SECONDS = {"": 1, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
_BYTES = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def duration(text: str) -> float:
    """Seconds of ``"90"``, ``"90s"``, ``"15m"``, ``"2h"``, ``"1h30m"``. Raises ValueError."""
    word = text.strip()
    parts = re.findall(r"(\d+(?:\.\d+)?)\s*([a-z]*)\s*", word)
    if not parts or not re.fullmatch(r"(?:\d+(?:\.\d+)?\s*[a-z]*\s*)+", word):
        raise ValueError(text)
    try:
        seconds = sum(float(number) * _SECONDS[unit] for number, unit in parts)
    except KeyError as error:
        raise ValueError(text) from error
    if seconds <= 0:
        raise ValueError(text)
    return seconds


def size(text: str) -> int:
    """Bytes of ``"512M"``, ``"4G"``, ``"4GiB"``; units are powers of 1024. Raises ValueError."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?", text.strip())
    if not match:
        raise ValueError(text)
    value = int(float(match[1]) * _BYTES[match[2]])
    if value <= 0:
        raise ValueError(text)
    return value
