"""Which package owns what of a seed: by its VDB, or by dpkg's lists where it has none."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from pathlib import Path

from cloche.seeds.debian.packages import STATUS, Installed, installed
from cloche.seeds.parts.contents import Line, Names, above, join, parse_contents
from cloche.store.tree import Entry, read_file

VDB = b"var/db/pkg"
_DPKG = b"var/lib/dpkg"
_INFO = _DPKG + b"/info"

Owned = Mapping[str, frozenset[bytes]]
"""For each package the names of the tree that it owns."""


def owned_by_package(tree: Path, entries: Iterable[Entry]) -> Owned:
    """What each package of a tree owns; ``entries`` are the tree's `walk`.

    The packages are CATEGORY/PF of the VDB, or else Debian's names (NAME:ARCH for those of another
    architecture than dpkg's). Each owns its own entry of the
    package manager's database as well, and what was compiled of its Python modules. What is not
    listed belongs to none. Raises OSError and `SeedError`.
    """
    names = Names(entries)
    found = dict(_by_vdb(tree, names))
    if not found and STATUS.encode() in names.entries:
        found = dict(_by_dpkg(tree, names))
    return _with_bytecode(found, names)


def _by_vdb(tree: Path, names: Names) -> Iterator[tuple[str, frozenset[bytes]]]:
    """By the entries of ``/var/db/pkg`` (portage(5))."""
    records: dict[bytes, set[bytes]] = {}
    for path in names.entries:
        if path.startswith(VDB + b"/"):
            parts = path.split(b"/", 5)
            if len(parts) > 4 and not parts[4].startswith((b"-MERGING-", b".")):
                records.setdefault(b"/".join(parts[3:5]), set()).add(path)
    for name, own in records.items():
        contents = join(join(VDB, name), b"CONTENTS")
        lines = parse_contents(read_file(tree, contents)) if contents in own else ()
        yield name.decode(errors="surrogateescape"), frozenset((*own, *names.owned(lines)))


def _by_dpkg(tree: Path, names: Names) -> Iterator[tuple[str, frozenset[bytes]]]:
    """By the lists of dpkg(1); what alternatives and scripts made belongs to none."""
    packages = installed(tree, alone=False)
    native = {"all", *(package.arch for package in packages if package.name == "dpkg")}
    diverted = _diversions(tree, names)
    infos: dict[bytes, list[bytes]] = {}
    for path in names.entries:
        if above(path) == _INFO:
            infos.setdefault(path.rpartition(b".")[0], []).append(path)
    for package in packages:
        stem = _info(package, names)
        own = infos.get(stem, [])
        paths = read_file(tree, stem + b".list").split(b"\n") if stem + b".list" in own else []
        ways = {above(path) for path in paths}
        moved = (_diverted(diverted, package.name, path) for path in paths if path)
        lines = (Line(_kind(path, ways, names), path) for path in moved)
        name = package.name if package.arch in native else f"{package.name}:{package.arch}"
        yield name, frozenset((*own, *names.owned(lines)))


def _info(package: Installed, names: Names) -> bytes:
    """The beginning of the names of a package's files in dpkg's database."""
    stem = join(_INFO, package.name.encode())
    of_arch = stem + b":" + package.arch.encode()
    return of_arch if of_arch + b".list" in names.entries else stem


def _kind(path: bytes, ways: Container[bytes], names: Names) -> str:
    """What a path of a list is: dpkg does not say.

    With others below it (``ways`` are the directories of all) it is a directory for its package,
    even where it is a link by now, as in a merged /usr.
    """
    place = names.place(path)
    entry = names.entries.get(place) if place else None
    return "dir" if path in ways or (entry is not None and entry.type == "directory") else "obj"


def _diverted(diversions: Mapping[bytes, tuple[bytes, str]], package: str, path: bytes) -> bytes:
    """Where a path of a package's list lies."""
    to, by = diversions.get(path, (path, package))
    return path if by == package else to


def _diversions(tree: Path, names: Names) -> dict[bytes, tuple[bytes, str]]:
    """dpkg-divert(1): where files lie that another package put aside, and which one that was."""
    file = _DPKG + b"/diversions"
    if file not in names.entries:
        return {}
    lines = read_file(tree, file).split(b"\n")
    triples = zip(lines[::3], lines[1::3], lines[2::3], strict=False)
    return {source: (to, by.decode(errors="replace")) for source, to, by in triples}


def _with_bytecode(found: Mapping[str, frozenset[bytes]], names: Names) -> Owned:
    """Python's caches (PEP 3147) go with their sources where no package owns them."""
    owned = frozenset().union(*found.values())
    of_source: dict[bytes, list[bytes]] = {}
    for path in names.entries:
        directory, _, name = path.rpartition(b"/")
        if name.endswith(b".pyc") and directory.endswith(b"/__pycache__") and path not in owned:
            source = join(above(directory), name.partition(b".")[0] + b".py")
            of_source.setdefault(source, []).append(path)
    more = of_source.keys()
    return {
        name: paths.union(*(of_source[source] for source in paths & more))
        for name, paths in found.items()
    }
