"""Debian's control format: stanzas of fields (deb822(5)), as dpkg and apt write them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


def stanzas(lines: Iterable[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Each stanza with the number of its first line; field names in lower case.

    Continuation lines are kept, joined by newlines. Lines that are no field are left out: indexes
    come signed, and what people write is judged by the fields that are missing then.
    """
    fields: dict[str, str] = {}
    start, last = 0, ""
    for number, raw in enumerate(lines, 1):
        line = raw.rstrip("\n")
        if line.startswith("#"):
            continue
        if not line.strip():
            if fields:
                yield start, fields
            fields, last = {}, ""
        elif line[0] in " \t":
            if last:
                fields[last] += "\n" + line.strip()
        elif ":" in line:
            name, _, value = line.partition(":")
            start = start if fields else number
            last = name.strip().lower()
            fields[last] = value.strip()
    if fields:
        yield start, fields
