"""``autogen.toml``: what every ebuild that autogen writes has of the user."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from cloche.autogen.package import Maintainer
from cloche.config import table as tables
from cloche.config.atoms import CATEGORY
from cloche.config.errors import ConfigError, Origin, wrong_type
from cloche.config.table import Table

_MAINTAINER = re.compile(r"(?:(?P<name>[^<>]*?)\s*<)?(?P<email>[^<>\s@]+@[^<>\s@]+)>?")
_KEYWORD = re.compile(r"~?[A-Za-z0-9_][A-Za-z0-9_-]*")

KEYS = ("category", "keywords", "maintainers")
OF_RUNS = ("github", "names", "pypi", "repos", "repository")
"""Further keys of the file, which are for `cloche autogen run`."""


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
    table = tables.load(path, path.parent)
    table.only((*KEYS, *OF_RUNS))
    return settings_of(table, Settings())


def settings_of(table: Table, default: Settings) -> Settings:
    """The settings of a table; what it does not say is the default's. Raises `ConfigError`."""
    category = table.get("category", str, default.category)
    if not re.fullmatch(CATEGORY, category):
        expected = "a name such as dev-python"
        raise wrong_type(table.origin("category"), "category", expected, f"“{category}”")
    keywords = table.strings("keywords")
    for keyword, origin in keywords:
        if not _KEYWORD.fullmatch(keyword):
            raise wrong_type(origin, "keywords", "words such as ~amd64", f"“{keyword}”")
    people = tuple(maintainer(text, origin) for text, origin in table.strings("maintainers"))
    return Settings(
        category,
        tuple(keyword for keyword, _ in keywords) or default.keywords,
        people or default.maintainers,
    )
