"""Reads the host's pip configuration: indexes, directories of files, certificates, proxy.

pip itself may be absent (uv makes environments without it), so its files and variables are read
directly, in its order (pip's documentation, "Configuration": global, user, site, PIP_CONFIG_FILE,
environment; the later wins).
"""

from __future__ import annotations

import configparser
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cloche.seeds.errors import no_pypi_simple

_KEYS = ("index-url", "extra-index-url", "find-links", "cert", "proxy", "no-index")


@dataclass(frozen=True, slots=True)
class PipSettings:
    """Where to look for a distribution, in order, and how to get there."""

    find_links: tuple[str, ...]
    indexes: tuple[str, ...]
    cert: str | None = None
    proxy: str | None = None


def config_files(environ: Mapping[str, str], prefix: Path = Path(sys.prefix)) -> list[Path]:
    """The files pip would read, the least important first; those that do not exist included."""
    special = environ.get("PIP_CONFIG_FILE")
    if special == os.devnull:
        return []
    home = Path(environ.get("HOME", "/"))
    dirs = environ.get("XDG_CONFIG_DIRS") or "/etc/xdg"
    files = [Path(d) / "pip/pip.conf" for d in reversed(dirs.split(":")) if d]
    files += [Path("/etc/pip.conf"), home / ".pip/pip.conf"]
    files += [Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "pip/pip.conf"]
    files += [prefix / "pip.conf"]
    return files + ([Path(special)] if special else [])


def read_settings(environ: Mapping[str, str], files: Iterable[Path]) -> PipSettings:
    """Join files and environment. Files that cannot be read count as absent, as with pip."""
    values: dict[str, str] = {}
    for file in files:
        parser = configparser.RawConfigParser()
        try:
            parser.read_string(file.read_text(encoding="utf-8"), str(file))
        except (OSError, UnicodeDecodeError, configparser.Error):
            continue
        for section in ("global", "download"):
            if parser.has_section(section):
                values |= {key.replace("_", "-"): text for key, text in parser.items(section)}
    for key in _KEYS:
        text = environ.get("PIP_" + key.upper().replace("-", "_"))
        if text:
            values[key] = text
    indexes: tuple[str, ...] = ()
    if values.get("no-index", "").strip().lower() not in ("1", "true", "yes", "on"):
        indexes = (values.get("index-url") or _default(), *_words(values, "extra-index-url"))
    return PipSettings(
        find_links=_words(values, "find-links"),
        indexes=tuple(url.strip().rstrip("/") + "/" for url in indexes),
        cert=values.get("cert") or environ.get("REQUESTS_CA_BUNDLE") or None,
        proxy=values.get("proxy") or None,
    )


def _default() -> str:
    """The index that pip itself asks; loaded late, for it takes more time than all of ours."""
    try:
        from pypi_simple import PYPI_SIMPLE_ENDPOINT
    except ImportError as error:
        raise no_pypi_simple() from error
    return PYPI_SIMPLE_ENDPOINT


def _words(values: Mapping[str, str], key: str) -> tuple[str, ...]:
    return tuple(values.get(key, "").split())


def host_settings() -> PipSettings:
    """The settings of this host and this process's environment."""
    return read_settings(os.environ, config_files(os.environ))
