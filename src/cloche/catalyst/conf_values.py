"""Checks the values of catalyst.conf; a wrong one is an error at its line."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cloche.config.atoms import is_name
from cloche.config.errors import ConfigError, Origin, nearest
from cloche.config.makeconf import is_quotable

#: Every word of `options` that catalyst knows.
OPTIONS = (
    *("autoresume", "bindist", "ccache", "clear-autoresume", "distcc", "enter-chroot", "fetch"),
    *("icecream", "kerncache", "keepwork", "pkgcache", "purge", "purgeonly", "purgetmponly"),
    *("seedcache", "sticky-config", "versioned_cache"),
)
Check = Callable[[str, Any, Path], Any]
"""Checks a value, given its key and the directory where relative paths begin; returns it as used.

Raises ValueError with a description of valid values.
"""


def checked(key: str, value: Any, origin: Origin, here: Path) -> Any:
    """A value as it is used; a path of the host begins with `/`. Raises `ConfigError`."""
    try:
        check: Check = _CHECKS.get(key, _text)
        return check(key, value, here)
    except ValueError as error:
        given = f"“{value}”" if isinstance(value, str) else str(value)
        raise ConfigError(origin, f"“{key}” is {given}", f"write {error}") from None


def _text(key: str, value: Any, _: Path) -> str:
    if not isinstance(value, str):
        raise ValueError(f'a string in quotation marks: {key} = "…"')
    if not value.isprintable():  # it becomes a part of files that are read line by line
        raise ValueError(f'one line of characters that can be printed: {key} = "…"')
    return value


def _name(key: str, value: Any, here: Path) -> str:
    """The name of a repository."""
    text = _text(key, value, here)
    if not is_name(text):
        raise ValueError(f'letters, digits, “_”, “.”, “+” and “-”: {key} = "gentoo"')
    return text


def _path(key: str, value: Any, here: Path) -> str:
    """A path of the host. A relative one begins at the current directory, as in catalyst."""
    text = _text(key, value, here)
    if not text:
        raise ValueError(f'a path: {key} = "/…"')
    # A reference is replaced later, by a path.
    return text if text.startswith(("/", "%(")) else os.path.normpath(here / text)


def _path_or_nothing(key: str, value: Any, here: Path) -> str:
    return _path(key, value, here) if value != "" else ""


def _place(key: str, value: Any, here: Path) -> str:
    """A path inside of the root."""
    text = _text(key, value, here)
    rooted = text.startswith(("/", "%(")) and ".." not in text.split("/")
    if not rooted or not is_quotable(text):
        raise ValueError(f'an absolute path in the root: {key} = "/…"')
    return text


def _whole(key: str, value: Any, _: Path) -> int:
    """A number from 1; older files have every value in quotation marks."""
    if isinstance(value, bool) or not str(value).isdecimal() or int(value) < 1:
        raise ValueError(f"a number from 1: {key} = 4")
    return int(value)


def _number(key: str, value: Any, _: Path) -> float:
    """A number above 0."""
    try:
        found = 0.0 if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        found = 0.0
    if not 0 < found < float("inf"):
        raise ValueError(f"a number above 0: {key} = 4.0")
    return found


def _words(key: str, value: Any, _: Path) -> tuple[str, ...]:
    words = value.split() if isinstance(value, str) else value
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise ValueError(f'a list of words: {key} = ["…"]')
    return tuple(words)


def _options(key: str, value: Any, here: Path) -> tuple[str, ...]:
    words = _words(key, value, here)
    for word in words:
        if word not in OPTIONS:
            near = nearest(word, OPTIONS) or ", ".join(OPTIONS)
            raise ValueError(f"words such as {near}, not “{word}”")
    return words


def _format(key: str, value: Any, here: Path) -> str:
    if value not in ("linux", "bsd"):
        raise ValueError('"linux" or "bsd"')
    return _text(key, value, here)


_CHECKS: Mapping[str, Check] = {
    "digests": _words,
    "digest_format": _format,
    "distdir": _path,
    "envscript": _path_or_nothing,
    "jobs": _whole,
    "jobserver-fifo": _path_or_nothing,
    "load-average": _number,
    "options": _options,
    "port_logdir": _path_or_nothing,
    "repo_basedir": _place,
    "repo_openpgp_key_path": _path_or_nothing,
    "repo_name": _name,
    "repos_storedir": _path,
    "sharedir": _path,
    "storedir": _path,
    "target_distdir": _place,
    "target_logdir": _place,
    "target_pkgdir": _place,
    "var_tmpfs_portage": _whole,
}
