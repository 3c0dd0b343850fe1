"""Finds packages by what a user types: ``jq``, ``app-misc/jq``, ``=app-misc/jq-1.6``."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from fnmatch import fnmatchcase

from cloche.plan.depgraph import BROOT

_VERSION = re.compile(r"-\d[^-]*(-r\d+)?$")


def cp_of(cpv: str) -> str:
    """CATEGORY/PN of a CPV (PMS 3.2: a version starts with a digit after the last such hyphen)."""
    return _VERSION.sub("", cpv)


def bare(name: str) -> str:
    """An id without its repository: a CPV, with what follows "@".

    That is ``@broot`` for a package over the seed, or ``@MACHINE`` (`cloche.records.joined`).
    """
    cpv, _, repository = name.partition("::")
    _, at, mark = repository.partition("@")
    return f"{cpv}{at}{mark}"


def matching(text: str, cpvs: Iterable[str]) -> tuple[str, ...]:
    """The cpvs that match ``text``; ids (``CPV::REPO``) match, too.

    Wildcards are those of a shell; without a slash they match a name without its category. With
    ``@broot`` at the end, only packages that are merged over the seed of a root of its own match.
    """
    wanted = text.removesuffix(BROOT).removeprefix("=").split("::")[0].split(":")[0]
    found = []
    for name in cpvs:
        if text.endswith(BROOT) and not name.endswith(BROOT):
            continue
        cpv = name.removesuffix(BROOT).split("::")[0]
        cp = cp_of(cpv)
        spelled = (cpv, cp) if "/" in wanted else (cpv.partition("/")[2], cp.partition("/")[2])
        if any(fnmatchcase(each, wanted) for each in spelled):
            found.append(name)
    return tuple(found)


def is_pattern(text: str) -> bool:
    """Whether a text has shell wildcards."""
    return any(c in text for c in "*?[")


def nearest(text: str, cpvs: Iterable[str], count: int = 3) -> tuple[str, ...]:
    """Names similar to ``text``, with a category if it has one."""
    names = {cp_of(name.split("::")[0]) for name in cpvs}
    if "/" not in text:
        by_pn = {name.partition("/")[2]: name for name in names}
        return tuple(by_pn[pn] for pn in difflib.get_close_matches(text, by_pn, count))
    return tuple(difflib.get_close_matches(text.removeprefix("="), names, count))
