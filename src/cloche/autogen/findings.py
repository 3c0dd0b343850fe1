"""Findings of pkgcheck, read from the output of its JsonReporter."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Finding:
    """A finding of pkgcheck. ``about``: an ebuild, a package (CATEGORY/PN), or "" (the repository).

    ``level`` is error, warning, style or info; ``name`` is pkgcheck's keyword.
    """

    about: str
    level: str
    name: str
    text: str

    @property
    def is_error(self) -> bool:
        """Whether an ebuild with it is not accepted into Gentoo."""
        return self.level == "error"

    def __str__(self) -> str:
        """Return it as one line."""
        about = f"{self.about}: " if self.about else ""
        return f"pkgcheck: {self.level}: {about}{self.name}: {self.text}"


def findings(line: str) -> Iterator[Finding]:
    """The findings in a line of the output; none if it is not JSON.

    The line has nested objects for category, package and version. Each of them may have findings,
    by their level (``_error``, ``_warning``, …) and keyword.
    """
    try:
        found = json.loads(line)
    except ValueError:
        return
    if isinstance(found, dict):
        yield from _inside(found, ())


def _inside(found: Mapping[str, Any], names: tuple[str, ...]) -> Iterator[Finding]:
    for key, value in found.items():
        if not isinstance(value, dict):
            continue
        if not key.startswith("_"):
            yield from _inside(value, (*names, key))
            continue
        about = "/".join(names[:2]) + "".join(f"-{version}" for version in names[2:])
        for name, said in value.items():
            for text in said if isinstance(said, list) else (said,):
                yield Finding(about, key[1:], str(name), " ".join(str(text).split()))
