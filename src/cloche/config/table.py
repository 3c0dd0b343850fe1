"""A TOML table with file and lines, read key by key with type checks."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from cloche.config import positions, toml
from cloche.config.errors import (
    ConfigError,
    Origin,
    missing_key,
    unknown_key,
    wrong_type,
)
from cloche.config.files import read_text

T = TypeVar("T")

_NAMES: Mapping[type, str] = {
    str: "a string",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    list: "a list",
    dict: "a table",
}

_SECONDS = {"": 1, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
_BYTES = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def _type_name(value: object) -> str:
    """A TOML type in words."""
    return _NAMES.get(type(value), "a date or time")


@dataclass(frozen=True, slots=True)
class Table:
    """One table; ``path`` says where it stands in the file."""

    file: Path
    data: Mapping[str, object]
    lines: Mapping[positions.Path, int]
    path: positions.Path = ()

    def origin(self, *keys: str | int) -> Origin:
        """The origin of a key or list item, else of what contains it."""
        path = (*self.path, *keys)
        while path and path not in self.lines:
            path = path[:-1]
        return Origin(self.file, self.lines.get(path))

    def only(self, keys: Iterable[str]) -> None:
        """Raise `ConfigError` for the first key that is none of ``keys``."""
        known = frozenset(keys)
        unknown = [key for key in self.data if key not in known]
        if unknown:
            raise unknown_key(self.origin(unknown[0]), self._dotted(unknown[0]), known)

    def get(self, key: str, kind: type[T], default: T) -> T:
        """The value of a key. Raises `ConfigError`."""
        value = self.data.get(key, default)
        # bool is a subclass of int, and `jobs = true` is not a number of jobs.
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise self._wrong(key, _NAMES[kind])
        return value

    def optional(self, key: str, kind: type[T]) -> T | None:
        """The value of a key, or None where it is not there. Raises `ConfigError`."""
        return self.get(key, kind, kind()) if key in self.data else None

    def required(self, key: str, example: str) -> str:
        """A mandatory string. Raises `ConfigError`."""
        if key not in self.data:
            raise missing_key(self.origin(), self._dotted(key), example)
        return self.get(key, str, "")

    def strings(self, key: str) -> tuple[tuple[str, Origin], ...]:
        """A list of strings, each with its place. Raises `ConfigError`."""
        items: list[object] = self.get(key, list, [])
        result = []
        for index, item in enumerate(items):
            if not isinstance(item, str):
                raise wrong_type(
                    self.origin(key, index),
                    self._dotted(key),
                    "a list of strings",
                    f"a list that holds {_type_name(item)}",
                )
            result.append((item, self.origin(key, index)))
        return tuple(result)

    def measure(self, key: str, read: Callable[[str], T], expected: str) -> T | None:
        """A duration or size: a plain whole number, or a string with a unit."""
        value = self.data.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise self._wrong(key, expected)
        try:
            return read(str(value))
        except ValueError as error:
            raise ConfigError(
                self.origin(key), f"“{self._dotted(key)}” is “{value}”, expected {expected}"
            ) from error

    def table(self, key: str) -> Table:
        """A table inside this one, empty where there is none. Raises `ConfigError`."""
        data: dict[str, object] = self.get(key, dict, {})
        return Table(self.file, data, self.lines, (*self.path, key))

    def tables(self, key: str) -> Mapping[str, Table]:
        """The tables of a table of tables, such as ``[seeds.NAME]``. Raises `ConfigError`."""
        outer = self.table(key)
        return {name: outer.table(name) for name in outer.data}

    def list_of_tables(self, key: str) -> tuple[Table, ...]:
        """The tables of ``[[KEY]]``, in their order. Raises `ConfigError`."""
        items: list[object] = self.get(key, list, [])
        found = []
        for index, item in enumerate(items):
            if not isinstance(item, dict):
                held = f"a list that holds {_type_name(item)}"
                wanted = f"tables, each below a line [[{self._dotted(key)}]]"
                raise wrong_type(self.origin(key, index), self._dotted(key), wanted, held)
            found.append(Table(self.file, item, self.lines, (*self.path, key, index)))
        return tuple(found)

    def _dotted(self, key: str) -> str:
        return ".".join(part for part in (*self.path, key) if isinstance(part, str))

    def _wrong(self, key: str, expected: str) -> ConfigError:
        found = _type_name(self.data[key])
        return wrong_type(self.origin(key), self._dotted(key), expected, found)


def load(file: Path, root: Path) -> Table:
    """Read a TOML file of the project. Raises `ConfigError`."""
    text = read_text(file, root)
    try:
        data = toml.loads(text)
    except ValueError as error:
        reason, found = toml.placed(str(error))
        line = found or len(text.splitlines()) or 1
        raise ConfigError(
            Origin(file, line), f"not TOML: {reason[:1].lower()}{reason[1:]}", "see https://toml.io"
        ) from error
    table = Table(file, data, positions.positions(text))
    _check_nul(table, data, ())
    return table


def _check_nul(table: Table, value: object, path: positions.Path) -> None:
    """Refuse a NUL byte, which no name of a file and no word of a command can have.

    TOML lets a string have it as ``\\u0000``. Raises `ConfigError`.
    """
    if isinstance(value, str) and "\0" in value:
        raise ConfigError(table.origin(*path), "a string with a NUL byte", "remove it")
    if isinstance(value, dict):
        for key, each in value.items():
            _check_nul(table, key, path)
            _check_nul(table, each, (*path, key))
    elif isinstance(value, list):
        for index, each in enumerate(value):
            _check_nul(table, each, (*path, index))


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
