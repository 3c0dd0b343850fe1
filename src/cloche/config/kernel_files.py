"""Files of a project for a kernel's build, most of them in the format of ``.config``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cloche.config.errors import ConfigError, Origin
from cloche.config.files import decode, read_bytes

_FILE: Final = re.compile(r"[\w+-][\w.+-]*(/[\w+-][\w.+-]*)*", re.ASCII)
_LINE: Final = re.compile(r"CONFIG_(\w+)=(.+)|# CONFIG_(\w+) is not set", re.ASCII)


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """A file of the project, such as a ``.config``; ``name`` is relative to the project."""

    name: str
    path: Path
    content: bytes


def read_config(text: str, origin: Origin, root: Path) -> ConfigFile:
    """A configuration, its lines checked. Raises `ConfigError`."""
    found = read_file(text, origin, root)
    said(found)
    return found


def read_file(text: str, origin: Origin, root: Path) -> ConfigFile:
    """A file that goes to a kernel's build, whatever it holds. Raises `ConfigError`."""
    if not _FILE.fullmatch(text):
        what = f"“{text}” cannot be the name of a file for a kernel"
        todo = "write a path below the project, of letters, digits, _ . + -"
        raise ConfigError(origin, what, todo)
    path = root / text
    if not path.exists():
        raise ConfigError(origin, f"no such file: {text}", "correct the path, or write the file")
    return ConfigFile(text, path, read_bytes(path, root))


def said(file: ConfigFile) -> Mapping[str, tuple[str, Origin]]:
    """What a file says of each option, without ``CONFIG_``: its value, "n" where it is not set.

    Raises `ConfigError` for a line that the kernel's scripts would pass over.
    """
    return {name: (value, origin) for name, value, origin in _lines(file)}


def statement(line: str) -> tuple[str, str] | None:
    """The option of a line of ``.config``, without ``CONFIG_``, and its value; None for others."""
    found = _LINE.fullmatch(line.rstrip())
    return (found[1] or found[3], (found[2] or "n").strip()) if found else None


def _lines(file: ConfigFile) -> Iterator[tuple[str, str, Origin]]:
    for number, line in enumerate(decode(file.content, file.path).splitlines(), 1):
        origin, found = Origin(file.path, number), statement(line)
        if found:
            yield *found, origin
        elif line.strip() and not line.startswith("#"):
            what = f"“{line.strip()}” is not a line of a kernel's configuration"
            raise ConfigError(origin, what, "write CONFIG_NAME=VALUE or # CONFIG_NAME is not set")
