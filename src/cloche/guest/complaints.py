"""Finds settings in ``/etc/portage`` that have no effect: from Portage's warnings, and by checks
of cloche for cases in which Portage does not warn.

Each is one line that names a file below /etc/portage; the host finds the line in the user's file.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from . import iuse
from .vocabulary import (
    flags,
    no_flag,
    no_licence,
    unknown_keywords,
    unknown_licences,
    unknown_words,
)

ETC = "/etc/portage"
#: Files whose lines begin with an atom, including those of the user's own profile.
KEYWORDS = ("package.accept_keywords", "package.keywords")
USE = (
    "package.use", "profile/package.use", "profile/package.use.force", "profile/package.use.mask",
    "profile/package.use.stable", "profile/package.use.stable.force",
    "profile/package.use.stable.mask",
)  # fmt: skip
BY_ATOM = (
    *USE, *KEYWORDS, "package.license", "package.properties", "package.accept_restrict",
    "package.env", "profile/package.keywords", "profile/package.accept_keywords",
)  # fmt: skip
MASKS = ("package.mask", "package.unmask", "profile/package.mask", "profile/package.unmask")
_WARNING = re.compile(
    r"(?:--- |!!! )(?:Invalid atom in|Atom is not allowed|Invalid USE flag|EAPI '|Unmatched removal"
    r"|INVALID ACCEPT_KEYWORDS|package.provided not allowed|\S+ references non-existent file"
    r"|Illegal variable|Invalid 'eapi' file)"
    r"|Invalid package name in package.provided"
)
#: Lines without information, and warnings that `ineffective` gives with file names.
_NOISE = re.compile(
    r"Calculating dependencies|\.* *done!$|[-=*]*$"
    r"|Undefined license group|FEATURES variable contains unknown value"
    r"|See portage\(5\) for correct package.provided usage"
)
MOST = 20  # messages of Portage that are passed on
LONGEST = 600  # characters of each


def of_portage(text: str) -> tuple[list[str], list[str]]:
    """Split Portage's (plain) output into lines about configuration and other messages.

    Duplicates are removed; the order is kept. Consecutive lines, and paragraphs after a colon, form
    one message. A message that names a file below /etc/portage is about configuration, too.
    """
    known, rest = [], []
    for block in re.split(r"(?<!:)\n\s*\n", text):
        lines = [line.strip() for line in block.splitlines()]
        known += [line for line in lines if _WARNING.match(line)]
        other = [line for line in lines if not _WARNING.match(line) and not _NOISE.match(line)]
        if other:
            saying = " ".join(other)
            rest.append(saying if len(saying) <= LONGEST else saying[:LONGEST] + "…")
    about = [f"Portage says: {each}" for each in rest if f"{ETC}/" in each]
    others = list(dict.fromkeys(each for each in rest if f"{ETC}/" not in each))
    if len(others) > MOST:
        others[MOST:] = [f"{len(others) - MOST} more messages; they are in the log"]
    return list(dict.fromkeys([*known, *about])), others


def ineffective(settings: Any, trees: Any, seen: Iterable[Any]) -> list[str]:
    """Settings that Portage accepts silently although they have no effect.

    ``seen`` are the packages of the merge list.
    """
    databases = [trees["porttree"].dbapi, trees["vartree"].dbapi, trees["bintree"].dbapi]
    known = iuse.Flags(settings, trees, [package for package in seen if not package.built])
    found = [
        *unknown_words(settings, known),
        *_lines(settings, databases, known),
        *_masks(databases),
        *_patches(databases),
    ]
    return list(dict.fromkeys(found))


def _matches(databases: Iterable[Any], atom: Any) -> list[tuple[Any, str]]:
    """Every package, masked or not, that an atom matches, with the database that has it."""
    found = []
    for database in databases:
        if hasattr(database, "xmatch"):
            cpvs = database.xmatch("match-all", atom)
        else:
            cpvs = database.match(atom)
        found += [(database, cpv) for cpv in cpvs]
    return found


def _any(databases: list[Any], atom: Any) -> bool:
    """Whether an atom matches any package; if it has wildcards, only the name is compared."""
    from portage.dep import extended_cp_match

    if "*" not in atom.cp:
        return bool(_matches(databases, atom))
    return atom.cp == "*/*" or any(
        extended_cp_match(atom.cp, cp) for database in databases for cp in database.cp_all()
    )


def _lines(settings: Any, databases: list[Any], known: iuse.Flags) -> Iterator[str]:
    """Problems with lines that set USE flags, keywords or licenses for packages."""
    from portage.util import grabdict_package

    more = {"recursive": 1, "allow_wildcard": True, "allow_repo": True, "allow_build_id": True}
    for name in BY_ATOM:
        place = f"{ETC}/{name}"
        for atom, values in grabdict_package(place, newlines=1, **more).items():
            if not _any(databases, atom):
                yield f"--- No package matches the atom in {place}: {atom}"
            elif name in USE:
                named = flags(values)
                for flag in sorted(_unused(named, atom, databases, known)):
                    variable, word = named[flag]
                    yield f"--- {no_flag(variable)} for '{atom}' in {place}: '{word}'"
            elif name == "package.license":
                for word in unknown_licences(values, settings):
                    yield f"--- {no_licence(word)} for '{atom}' in {place}: '{word}'"
            elif name in KEYWORDS:
                for word in unknown_keywords(values, settings):
                    yield f"--- No arch.list has the keyword for '{atom}' in {place}: '{word}'"


def _unused(named: Iterable[str], atom: Any, databases: list[Any], known: iuse.Flags) -> set[str]:
    """The flags that no package matching the atom has; for a wildcard, no package at all."""
    if "*" in atom.cp:
        return known.unknown(named)
    left = set(named)
    for database, cpv in _matches(databases, atom):
        left -= iuse.of(database, cpv, atom.repo if hasattr(database, "xmatch") else None)
    return left


def _masks(databases: list[Any]) -> Iterator[str]:
    from portage.util import grabfile_package

    more = {"recursive": 1, "allow_wildcard": True, "allow_repo": True, "allow_build_id": True}
    for name in MASKS:
        place = f"{ETC}/{name}"
        for atom in grabfile_package(place, **more):
            if not str(atom).startswith("-") and not _any(databases, atom):
                yield f"--- No package matches the atom in {place}: {atom}"


def _patches(databases: list[Any]) -> Iterator[str]:
    """Patch directories that match no package by PN, P or PF, perhaps with a slot (PMS)."""
    from portage.versions import catpkgsplit

    for category in sorted(Path(ETC, "patches").glob("*")):
        names: set[str] = set()
        for database in databases:
            for cp in database.cp_all():
                if cp.split("/")[0] != category.name:
                    continue
                names.add(cp.split("/")[1])
                for cpv in database.cp_list(cp):
                    _, name, version, revision = catpkgsplit(cpv)
                    names |= {f"{name}-{version}", f"{name}-{version}-{revision}"}
        for place in sorted(category.iterdir()):
            if place.is_dir() and place.name.split(":")[0] not in names:
                yield f"--- No package has the name of the patches in {os.fspath(place)}"
