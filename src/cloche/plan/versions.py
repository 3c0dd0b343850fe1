"""The order of versions, as PMS 3.3 defines it."""

from __future__ import annotations

import re

_VERSION = re.compile(r"(?P<numbers>\d+(?:\.\d+)*)(?P<letter>[a-z]?)(?P<rest>(?:_[a-z]+\d*)*)"
                      r"(?:-r(?P<revision>\d+))?")  # fmt: skip
_SUFFIX = re.compile(r"_([a-z]+)(\d*)")
_RANKS = {"alpha": -4, "beta": -3, "pre": -2, "rc": -1, "": 0, "p": 1}

Key = tuple[object, ...]


def version_key(version: str) -> Key:
    """A sort key for versions (``1.2_rc1-r3``), from the oldest to the newest.

    Equal for versions that PMS defines as equal. Invalid versions sort before all others.
    """
    match = _VERSION.fullmatch(version)
    if match is None:
        return ((-1, 0, version),)
    first, *others = match["numbers"].split(".")
    suffixes = [
        (_RANKS.get(name, 0), int(number or 0)) for name, number in _SUFFIX.findall(match["rest"])
    ]
    # The end of the suffixes is less than _p, and more than _rc.
    ends = (*suffixes, (_RANKS[""], 0))
    return (
        (0, int(first), ""),
        tuple(map(_component, others)),
        match["letter"],
        ends,
        int(match["revision"] or 0),
    )


def _component(text: str) -> tuple[int, int, str]:
    """A number after the first; with a leading zero it is compared as a fraction."""
    if text.startswith("0"):
        return (0, 0, text.rstrip("0"))
    return (1, int(text), "")
