"""Patterns of paths, over bytes: those of a shell within one component.

``*`` and ``?`` do not match a slash, ``[abc]`` and ``[!abc]`` are classes, and ``**`` as a whole
component matches any number of components, including none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from contextlib import suppress

Matcher = Callable[[bytes], bool]
"""Says whether a path (relative, a slash between its components) matches."""

_TOKEN = re.compile(r"\*|\?|\[!?\]?[^\]/]*\]|.", re.DOTALL)


def expression(pattern: str) -> str:
    """The regular expression of one pattern."""
    parts = []
    for component in pattern.strip("/").split("/"):
        if component == "**":
            parts.append("(?:[^/]+/)*")
        else:
            parts.append("".join(map(_token, _TOKEN.findall(component))) + "/")
    return "".join(parts).removesuffix("/")


def _token(piece: str) -> str:
    if piece == "*":
        return "[^/]*"
    if piece == "?":
        return "[^/]"
    if piece.startswith("[") and len(piece) > 2:
        negated = piece.startswith("[!")
        inside = re.sub(r"([\\^\[\]])", r"\\\1", piece[2 if negated else 1 : -1])
        found = f"[^/{inside}]" if negated else f"[{inside}]"
        with suppress(re.error):  # a reversed range is invalid
            re.compile(found)
            return found
    return re.escape(piece)


def matcher(patterns: Iterable[str], *, below: bool = False) -> Matcher:
    """Match any of the patterns, and with ``below`` all that lies in a directory that matches."""
    alternatives = "|".join(map(expression, patterns))
    if not alternatives:
        return lambda path: False
    tail = "(?:/.*)?" if below else ""
    whole = re.compile(_encode(f"(?:{alternatives}){tail}\\Z"), re.DOTALL)
    return lambda path: whole.match(path) is not None


def _encode(text: str) -> bytes:
    # File names are bytes and need not be UTF-8.
    return text.encode("utf-8", "surrogateescape")
