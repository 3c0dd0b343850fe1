"""Finds two packages that a machine asks for, of which a system has one.

Most virtuals may have several providers in one root (virtual/editor, virtual/ssh). Those of `ROLES`
do the same work on the same data: two would run each job of cron twice, or write each message to
two logs. Which packages they are is what the repositories say.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from cloche.config.atoms import name_of
from cloche.config.errors import ConfigError
from cloche.config.sets import Asked

ROLES = ("cron", "logger", "mta")
_ANY_OF = re.compile(r"\|\|\s*\(([^()]*)\)")


def providers(text: str) -> frozenset[str]:
    """The names in any-of groups of a virtual's ebuild, without those that depend on USE flags."""
    text = re.sub(r"(?m)(^|\s)#.*$", "", text)
    atoms = (atom for group in _ANY_OF.findall(text) for atom in group.split() if "[" not in atom)
    return frozenset(name for atom in atoms if (name := name_of(atom)))


def check_roles(asked: Iterable[Asked], repositories: Iterable[Path]) -> None:
    """Refuse two providers of one role that are both asked for. Raises `ConfigError`."""
    by_name = {name: each for each in asked if (name := name_of(each.atom))}
    if len(by_name) < 2:
        return
    places = tuple(repositories)
    for role in ROLES:
        own = [name for name in by_name if name in _providers_of(role, places)]
        if len(own) > 1:
            first, second = own[:2]
            what = f"{second} is asked for here, and {first} in {by_name[first].origin}"
            todo = f"a machine has one virtual/{role}: remove one of the two"
            raise ConfigError(by_name[second].origin, what, todo)


def _providers_of(role: str, repositories: Iterable[Path]) -> set[str]:
    return {name for text in _ebuilds(role, repositories) for name in providers(text)}


def _ebuilds(role: str, repositories: Iterable[Path]) -> Iterator[str]:
    for place in repositories:
        for ebuild in sorted((place / "virtual" / role).glob("*.ebuild")):
            if ebuild.is_file():
                yield ebuild.read_text(encoding="utf-8", errors="replace")
