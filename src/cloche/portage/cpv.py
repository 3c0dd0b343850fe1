"""Category, package and version in one string (PMS 3.1, 3.2)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from cloche.config.atoms import CATEGORY, PACKAGE, VERSION
from cloche.errors import ClocheError

_CPV: Final = re.compile(rf"({CATEGORY})/({PACKAGE}?)-({VERSION})")
_VERSION_LIKE: Final = re.compile(rf".*-{VERSION}")


class BadNameError(ClocheError):
    """A string that is not a CPV."""


@dataclass(frozen=True, slots=True)
class Cpv:
    """A CPV in its parts; ``version`` is without the revision, ``revision`` a number (0: none)."""

    category: str
    pn: str
    version: str
    revision: str  # as written, without "r"; empty if there is none

    @property
    def cp(self) -> str:
        """``CATEGORY/PN``."""
        return f"{self.category}/{self.pn}"

    @property
    def p(self) -> str:
        """``PN-PV``."""
        return f"{self.pn}-{self.version}"

    @property
    def pr(self) -> str:
        """The revision, ``r0`` where none is written (PMS 11.1)."""
        return f"r{self.revision or 0}"

    @property
    def pf(self) -> str:
        """``PN-PV[-rN]``, the name of the ebuild without its suffix."""
        return f"{self.p}-r{self.revision}" if self.revision else self.p

    def __str__(self) -> str:
        return f"{self.category}/{self.pf}"


def split_cpv(text: str) -> Cpv:
    """Split ``CATEGORY/PN-PV[-rN]``. Raises `BadNameError`."""
    match = _CPV.fullmatch(text)
    # No package name ends in what looks like a version (PMS 3.1.2).
    if match is None or _VERSION_LIKE.fullmatch(match[2]):
        raise BadNameError(f"“{text}” is not of the form CATEGORY/NAME-VERSION")
    version, _, revision = match[3].partition("-r")
    return Cpv(match[1], match[2], version, revision)
