"""``autogen.toml``: what every ebuild that autogen writes has of the user."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cloche.autogen.package import Maintainer
from cloche.config import toml
from cloche.config.atoms import CATEGORY
from cloche.config.errors import ConfigError, Origin, unknown_key, wrong_type
from cloche.config.files import read_text

_MAINTAINER = re.compile(r"(?:(?P<name>[^<>]*?)\s*<)?(?P<email>[^<>\s@]+@[^<>\s@]+)>?")
_KEYWORD = re.compile(r"~?[A-Za-z0-9_][A-Za-z0-9_-]*")


@dataclass(frozen=True, slots=True)
class Settings:
    """The keys of the file, checked."""

    category: str = "dev-python"
    keywords: tuple[str, ...] = ("~amd64",)
    maintainers: tuple[Maintainer, ...] = ()


def maintainer(text: str, origin: Origin) -> Maintainer:
    """Read ``Name <address>`` or an address. Raises `ConfigError`."""
    match = _MAINTAINER.fullmatch(text.strip())
    if match is None:
        what = f"“{text}” is not a maintainer"
        raise ConfigError(origin, what, 'write "Name <name@example.org>"')
    return Maintainer(match["email"], match["name"] or "")


def read_settings(path: Path) -> Settings:
    """Read the file; without it, the defaults. Raises `ConfigError`."""
    if not path.exists():
        return Settings()
    origin = Origin(path)
    try:
        data = toml.loads(read_text(path, path.parent))
    except ValueError as error:
        raise ConfigError(origin, str(error), "correct it") from error
    known = ("category", "keywords", "maintainers")
    for key in data:
        if key not in known:
            raise unknown_key(origin, key, known)
    category = data.get("category", "dev-python")
    if not isinstance(category, str) or not re.fullmatch(CATEGORY, category):
        raise wrong_type(origin, "category", "a name such as dev-python", repr(category))
    keywords = _strings(data, "keywords", origin) or ("~amd64",)
    for keyword in keywords:
        if not _KEYWORD.fullmatch(keyword):
            raise wrong_type(origin, "keywords", "words such as ~amd64", f"“{keyword}”")
    people = _strings(data, "maintainers", origin)
    return Settings(category, keywords, tuple(maintainer(each, origin) for each in people))


def _strings(data: Mapping[str, Any], key: str, origin: Origin) -> tuple[str, ...]:
    value = data.get(key, [])
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise wrong_type(origin, key, "a list of strings", repr(value))
    return tuple(value)
