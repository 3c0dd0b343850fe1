"""What has no effect in ``/etc/portage``: Portage's own warnings, and what it says nothing about.

Each is one line that names a file below /etc/portage; the host finds the user's own line for it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from .settings import FEATURES_OFF

ETC = "/etc/portage"
#: Files whose lines begin with an atom.
BY_ATOM = (
    "package.use", "package.accept_keywords", "package.keywords", "package.license",
    "package.properties", "package.accept_restrict", "package.env",
)  # fmt: skip
MASKS = ("package.mask", "package.unmask")
_WARNING = re.compile(
    r"(?:--- |!!! )(?:Invalid atom in|Atom is not allowed|Invalid USE flag|EAPI '|Unmatched removal"
    r"|INVALID ACCEPT_KEYWORDS|package.provided not allowed|\S+ references non-existent file"
    r"|Illegal variable|Invalid 'eapi' file)"
    r"|Undefined license group|Invalid package name in package.provided"
)
_SKIPPED_FEATURES = frozenset({"*"})


def of_portage(text: str) -> list[str]:
    """The lines of Portage's words that complain of configuration, each once, in order."""
    lines = (line.strip() for line in text.splitlines())
    return list(dict.fromkeys(line for line in lines if _WARNING.match(line)))


def ineffective(settings: Any, trees: Any) -> list[str]:
    """What Portage accepts without a word although it changes nothing."""
    databases = [trees["porttree"].dbapi, trees["vartree"].dbapi, trees["bintree"].dbapi]
    found = [*_atoms(databases), *_features(settings), *_licenses(settings), *_patches(databases)]
    return list(dict.fromkeys(found))


def _matches(databases: Iterable[Any], atom: Any) -> list[tuple[Any, str]]:
    """Every package, masked or not, that an atom means, with the database that has it."""
    found = []
    for database in databases:
        if hasattr(database, "xmatch"):
            cpvs = database.xmatch("match-all", atom)
        else:
            cpvs = database.match(atom)
        found += [(database, cpv) for cpv in cpvs]
    return found


def _atoms(databases: list[Any]) -> Iterator[str]:
    from portage.util import grabdict_package, grabfile_package

    more = {"recursive": 1, "allow_wildcard": True, "allow_repo": True, "allow_build_id": True}
    for name in BY_ATOM:
        place = f"{ETC}/{name}"
        for atom, values in grabdict_package(place, newlines=1, **more).items():
            if "*" in atom.cp:
                continue
            matched = _matches(databases, atom)
            if not matched:
                yield f"--- No package matches the atom in {place}: {atom}"
            elif name == "package.use":
                for flag in sorted(flags(values) - _known_flags(matched, atom)):
                    yield f"--- No such USE flag for '{atom}' in '{place}': '{flag}'"
    for name in MASKS:
        place = f"{ETC}/{name}"
        for atom in grabfile_package(place, **more):
            if str(atom).startswith("-") or "*" in atom.cp:
                continue
            if not _matches(databases, atom):
                yield f"--- No package matches the atom in {place}: {atom}"


def flags(words: Iterable[str]) -> set[str]:
    """The USE flags that a line of package.use names, with those of ``USE_EXPAND:`` in full."""
    prefix, found = "", set()
    for word in words:
        if word == "\n":
            prefix = ""
        elif word.endswith(":"):
            prefix = word[:-1].lower() + "_"
        elif not word.endswith("*"):
            found.add(prefix + word.removeprefix("-"))
    return found


def _known_flags(matched: list[tuple[Any, str]], atom: Any) -> set[str]:
    known: set[str] = set()
    for database, cpv in matched:
        try:
            (iuse,) = database.aux_get(
                cpv,
                ["IUSE"],
                **({"myrepo": atom.repo} if atom.repo and hasattr(database, "xmatch") else {}),
            )
        except KeyError:  # an ebuild that cannot be read; the resolver says so where it matters
            continue
        known.update(flag.lstrip("+-") for flag in iuse.split())
    return known


def _features(settings: Any) -> Iterator[str]:
    from portage.const import SUPPORTED_FEATURES

    for word in settings.configdict["conf"].get("FEATURES", "").split():
        if word.startswith("-") or word in _SKIPPED_FEATURES:
            continue
        if word not in SUPPORTED_FEATURES:
            yield f"--- Unknown word of FEATURES in {ETC}/make.conf: {word}"
        elif word in FEATURES_OFF:
            yield f"--- cloche switches off this word of FEATURES in {ETC}/make.conf: {word}"


def _licenses(settings: Any) -> Iterator[str]:
    places = [Path(repo.location) / "licenses" for repo in settings.repositories]
    for word in settings.configdict["conf"].get("ACCEPT_LICENSE", "").split():
        name = word.removeprefix("-")
        known = name == "*" or name.startswith("@")
        if not known and not any((place / name).is_file() for place in places):
            yield f"--- No repository has the license in {ETC}/make.conf: {name}"


def _patches(databases: list[Any]) -> Iterator[str]:
    """Directories of patches whose name no package has: PN, P or PF, perhaps with a slot (PMS)."""
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
