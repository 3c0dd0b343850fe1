"""Reads untrusted TOML within limits, and writes TOML (which tomllib does not) that diffs well."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_WIDTH = 80  # characters of a list that stays on one line
_DEPTH = 2  # tables down to here get a header of their own, deeper ones are inline
_PARTS = 32  # of a dotted key: tomllib's time grows with the square of their number
_LONG_KEY = re.compile(
    r"""(?<![\w.-])(?:(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+)"""
    rf"{{{_PARTS}}}"
)


def loads(text: str) -> dict[str, Any]:
    """Read a document. Raises `ValueError` for anything that is not TOML or nested too deeply.

    The message ends as tomllib's do, with ``(at line …, column …)`` where a place is known.
    """
    if long := _LONG_KEY.search(text):
        line = text.count("\n", 0, long.start()) + 1
        raise ValueError(f"Key of more than {_PARTS} parts (at line {line}, column 1)")
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise ValueError("Nested too deeply") from error


def dumps(data: Mapping[str, Any]) -> str:
    """The text of a document of strings, integers, floats, booleans, lists and tables.

    Keys stay in the order given, except that a table's plain values come before its tables.
    Elements of a long list, or of one of tables, take one line each. Raises `TypeError` for
    anything else.
    """
    return "\n".join(_table(data, ())).strip("\n") + "\n"


def _table(data: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    nested = {
        key: value
        for key, value in data.items()
        if isinstance(value, Mapping) and len(path) < _DEPTH
    }
    plain = {key: value for key, value in data.items() if key not in nested}
    if path and (plain or not nested):
        yield ""
        yield f"[{'.'.join(map(_key, path))}]"
    for key, value in plain.items():
        yield f"{_key(key)} = {_value(value)}"
    for key, value in nested.items():
        yield from _table(value, (*path, key))


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _string(key)


def _string(text: str) -> str:
    # A JSON string is a TOML basic string, but for DEL, which TOML wants escaped.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007F")


def _value(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return _string(value)
        case int() | float():
            return repr(value)
        case Mapping():
            inner = ", ".join(f"{_key(key)} = {_value(item)}" for key, item in value.items())
            return f"{{ {inner} }}" if inner else "{}"
        case list() | tuple():
            texts = [_value(item) for item in value]
            line = f"[{', '.join(texts)}]"
            if len(line) > _WIDTH or any(isinstance(item, Mapping) for item in value):
                return "[\n" + "".join(f"    {text},\n" for text in texts) + "]"
            return line
    raise TypeError(f"no TOML for {type(value).__name__}")


def placed(message: str) -> tuple[str, int | None]:
    """The message of an error of `loads` without its place, and the line; None: at the end."""
    match = re.search(r" \(at line (\d+), column \d+\)$| \(at end of document\)$", message)
    reason = message[: match.start()] if match else message
    return reason, int(match[1]) if match and match[1] else None
