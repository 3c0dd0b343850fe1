"""Who would bring a file that a root lacks: packages whose layers are in the store, or the seed."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from itertools import chain
from pathlib import Path

from cloche.building.context import BuildContext
from cloche.building.diagnose import installed_files
from cloche.building.hints import layers_of_repositories
from cloche.composing.places import Places, look_into
from cloche.config.chost import MULTIARCH
from cloche.plan.names import cp_of
from cloche.seeds.debian.broot import broot_packages, broot_rules
from cloche.seeds.debian.packages import installed, is_debian
from cloche.store.tree import read_file

_LIBRARIES = ("lib64", "lib", "usr/lib64", "usr/lib")
_PROGRAMS = ("usr/bin", "bin", "usr/sbin", "sbin")
_VERSION = re.compile(r"-?\d[\d.]*g?$", re.ASCII)  # libbz2-1.0, libffi8, zlib1g


def bringers(context: BuildContext, wanted: Collection[str]) -> Mapping[str, tuple[str, ...]]:
    """The packages (CATEGORY/PN) that own files, for each library (soname), program or path.

    Of a path, ``/usr`` at its beginning is left out: /bin and /usr/bin may be one.
    """
    names = {name.rpartition("/")[2] for name in wanted}
    found: dict[str, set[str]] = {name: set() for name in wanted}
    for layer in layers_of_repositories(context):
        for cpv, path in installed_files(layer):
            if path.rpartition("/")[2] in names:
                for name in wanted:
                    if _is(path, name):
                        found[name].add(cp_of(cpv))
    return {name: tuple(sorted(packages)) for name, packages in found.items()}


def _is(path: str, name: str) -> bool:
    if name.startswith("/"):
        return path.removeprefix("/usr") == name.removeprefix("/usr")
    return path.rpartition("/")[2] == name


def seed_names(context: BuildContext, wanted: Collection[str]) -> Mapping[str, tuple[str, ...]]:
    """As `bringers`, from the seed: names of its VDB, or Gentoo's for a Debian seed's packages.

    Only names that the machine's repositories have. Raises SeedError.
    """
    seed = context.inputs.base[0].path
    found: dict[str, set[str]] = {name: set() for name in wanted}
    gentoo = _gentoo_names(seed)
    owned = ((cp_of(cpv), path) for cpv, path in installed_files(seed))
    debian = ((name, path) for owner, path in _debian_files(seed) for name in gentoo(owner))
    names = {name.rpartition("/")[2] for name in wanted}
    for package, path in chain(owned, debian):
        if path.rpartition("/")[2] in names:
            for name in wanted:
                if _is(path, name):
                    found[name].add(package)
    repos = context.inputs.repos.values()
    return {
        name: tuple(sorted(p for p in packages if any((r.path / p).is_dir() for r in repos)))
        for name, packages in found.items()
    }


def _debian_files(seed: Path) -> Iterator[tuple[str, str]]:
    """Pairs of package and path, by the lists of dpkg(1)."""
    info = seed / "var/lib/dpkg/info"
    for file in info.glob("*.list"):
        owner = file.stem.partition(":")[0]
        text = os.fsdecode(read_file(seed, os.fsencode(file.relative_to(seed))))
        yield from ((owner, path) for path in text.splitlines())


def _gentoo_names(seed: Path) -> Callable[[str], set[str]]:
    """Gentoo's names of Debian's packages. A library has the name of its -dev package.

    So libc6 is sys-libs/glibc, because libc6-dev needs it, and stands for that. If the seed lacks
    the -dev package of a library (zlib1g), that package's name is derived from the library's.
    """
    if not is_debian(seed):
        return lambda debian: set()
    packages = installed(seed, alone=False)
    needs = {each.name: set(chain(*each.needs)) for each in packages if each.name.endswith("-dev")}
    found: dict[str, set[str]] = {}
    for known in broot_packages(seed, packages):
        for debian in (known.debian, *known.needs):
            for name in (debian, *needs.get(debian, ())):
                found.setdefault(name, set()).add(cp_of(known.cpv))
    table: dict[str, set[str]] = {}
    for debian, named in broot_rules(packages).items():
        for gentoo, rule in named.items():
            for name in (debian, *rule.needs):
                table.setdefault(name, set()).add(gentoo)

    def names(debian: str) -> set[str]:
        ways = (table[dev] for dev in dev_names(debian) if dev in table)
        known = found.get(debian) or next(ways, set())
        return {name for name in known if not name.startswith("virtual/")}

    return names


def dev_names(library: str) -> Iterator[str]:
    """Possible names of a library's -dev package, each with less of the library's version."""
    name = library
    while name:
        yield f"{name}-dev"
        shorter = _VERSION.sub("", name)
        name = shorter if shorter != name else ""


def in_seed(context: BuildContext, name: str) -> str | None:
    """Where the seed has a library, program or path."""
    places = Places(look_into(context.inputs.base))
    if name.startswith("/"):
        candidates = [name.strip("/")]
    else:
        triplets = [
            f"usr/lib/{cpu}-linux-{abi}" for cpu in MULTIARCH for abi in ("gnu", "gnueabihf")
        ]
        candidates = [f"{at}/{name}" for at in (*_LIBRARIES, *triplets, *_PROGRAMS)]
    for path in candidates:
        found = places.find(path)
        if found is not None and found.kind != "directory":  # Debian's /usr/lib/TRIPLET/perl is
            return f"/{path}"
    return None
