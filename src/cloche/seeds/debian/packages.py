"""The Debian packages of a tree, from dpkg's status and apt's index."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cloche.config.lock import DebianPackage
from cloche.errors import Exit
from cloche.layers import Merged
from cloche.seeds.errors import SeedError
from cloche.store.tree import read_file

STATUS = "var/lib/dpkg/status"
VDB = b"var/db/pkg"
LISTS = "var/lib/apt/lists"


@dataclass(frozen=True, slots=True)
class Installed:
    """One installed package as dpkg has it; each of ``needs`` is a list of alternatives."""

    name: str
    version: str
    arch: str
    essential: bool
    same: bool  # Multi-Arch: same, which decides the name of its list of files
    needs: tuple[tuple[str, ...], ...]
    provides: tuple[str, ...]


def _bad_list(reason: str) -> SeedError:
    """The seed's dpkg status does not match the mirror's index."""
    what = f"the seed's package list cannot be pinned: {reason}"
    return SeedError(what, status=Exit.FAILED)


def installed(tree: Path, *, alone: bool = True) -> list[Installed]:
    """The packages of a tree, by name. Raises `SeedError`.

    A fresh tree has installed packages ``alone``; one that was in use may have what is left of
    removed ones as well, which is passed over without.
    """
    found = []
    for line, fields in _stanzas(tree, STATUS):
        if fields.get("status") != "install ok installed":
            if not alone:
                continue
            name = fields.get("package", f"line {line}")
            raise _bad_list(f"{name} is {fields.get('status', 'without a status')!r}")
        name, version, arch = _identity(fields, line)
        found.append(
            Installed(
                name=name,
                version=version,
                arch=arch,
                essential=fields.get("essential") == "yes",
                same=fields.get("multi-arch") == "same",
                needs=_needs(fields),
                provides=tuple(
                    name for group in _relations(fields.get("provides", "")) for name in group
                ),
            )
        )
    return sorted(found, key=lambda package: (package.name, package.arch))


def _identity(fields: dict[str, str], line: int) -> tuple[str, str, str]:
    """Name, version and architecture of a stanza. Raises `SeedError`."""
    for field in ("package", "version", "architecture"):
        if not fields.get(field):
            raise _bad_list(f"the stanza at line {line} has no {field.capitalize()}")
    return fields["package"], fields["version"], fields["architecture"]


def _needs(fields: dict[str, str]) -> tuple[tuple[str, ...], ...]:
    return _relations(fields.get("pre-depends", "")) + _relations(fields.get("depends", ""))


def _relations(text: str) -> tuple[tuple[str, ...], ...]:
    """The names of a relationship field (Debian Policy 7.1), versions and architectures dropped."""
    return tuple(
        tuple(re.split(r"[\s(:\[]", name.strip(), maxsplit=1)[0] for name in group.split("|"))
        for group in text.split(",")
        if group.strip()
    )


def pinned(tree: Path) -> list[DebianPackage]:
    """The packages of a fresh tree with their digests; apt's lists must still be there.

    Raises `SeedError` when a package is in no index of the mirror.
    """
    digests = {}
    for index in sorted((tree / LISTS).glob("*_Packages")):
        for line, fields in _stanzas(tree, f"{LISTS}/{index.name}"):
            digests[_identity(fields, line)] = fields.get("sha256", "")
    found = []
    for package in installed(tree):
        digest = digests.get((package.name, package.version, package.arch))
        if not digest:
            raise _bad_list(f"{package.name} {package.version} is in no index of the mirror")
        found.append(DebianPackage(package.name, package.version, package.arch, digest))
    return sorted(found)


def is_debian(tree: Path) -> bool:
    """Whether a tree has dpkg's list of packages."""
    return Merged([tree]).lookup(STATUS.encode()) is not None


def has_vdb(tree: Path) -> bool:
    """Whether a tree has a VDB with entries, as a Gentoo system and no Debian has."""
    merged = Merged([tree])
    vdb = merged.lookup(VDB)
    categories = merged.children(vdb) if vdb is not None and vdb.is_directory else []
    return any(merged.children(each) for each in categories if each.is_directory)


def _stanzas(tree: Path, name: str) -> Iterator[tuple[int, dict[str, str]]]:
    try:
        text = read_file(tree, name.encode()).decode(errors="replace")
    except OSError as error:  # also for a link, which may lead out of the tree
        raise _bad_list(f"{tree / name}: {error.strerror}") from None
    yield from stanzas(text.split("\n"))


def stanzas(lines: Iterable[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Stanzas of Debian's control format (deb822(5)), each with the number of its first line.

    Field names are in lower case. Continuation lines are joined by newlines. Lines that are not
    fields are skipped: indexes are signed, and in users' files a field will be missing.
    """
    fields: dict[str, str] = {}
    start, last = 0, ""
    for number, raw in enumerate(lines, 1):
        line = raw.rstrip("\n")
        if line.startswith("#"):
            continue
        if not line.strip():
            if fields:
                yield start, fields
            fields, last = {}, ""
        elif line[0] in " \t":
            if last:
                fields[last] += "\n" + line.strip()
        elif ":" in line:
            name, _, value = line.partition(":")
            start = start if fields else number
            last = name.strip().lower()
            fields[last] = value.strip()
    if fields:
        yield start, fields
