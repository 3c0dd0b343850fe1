"""Which USE flags no package of any repository has, found out without reading more than needed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

CACHE = "metadata/md5-cache"  # PMS, chapter 14
_IUSE = b"IUSE="


def unused(flags: Iterable[str], settings: Any, trees: Any, seen: Iterable[Any]) -> set[str]:
    """Those of ``flags`` that neither the profile gives to every package nor any IUSE has.

    ``seen`` are packages whose metadata are at hand. Binary packages count; what is installed does
    not, since it is never built again. Most flags are found early; everything is read only where
    one is nowhere, and that from caches where a repository has one.
    """
    left: set[str] = set(flags) - settings._iuse_effective - set(settings.archlist())
    for found in _all(settings, trees, seen):
        if not left:
            break
        left -= found
    return left


def of(database: Any, cpv: str, repository: str | None = None) -> set[str]:
    """The flags of a package's IUSE, without their defaults."""
    try:
        (iuse,) = database.aux_get(cpv, ["IUSE"], **({"myrepo": repository} if repository else {}))
    except KeyError:  # an ebuild that cannot be read; the resolver says so where it matters
        return set()
    return _names(iuse)


def _names(iuse: str) -> set[str]:
    return {flag.lstrip("+-") for flag in iuse.split()}


def _all(settings: Any, trees: Any, seen: Iterable[Any]) -> Iterator[set[str]]:
    for package in seen:
        yield _names(package._metadata["IUSE"])
    binaries = trees["bintree"].dbapi
    for cpv in binaries.cpv_all():
        yield of(binaries, cpv)
    ebuilds = trees["porttree"].dbapi
    for repository in sorted(settings.repositories, key=lambda each: each.name):
        cache = Path(repository.location, CACHE)
        if cache.is_dir():
            yield from _cached(cache)
            continue
        for cp in ebuilds.cp_all(trees=[repository.location]):
            for cpv in ebuilds.cp_list(cp, mytree=repository.location):
                yield of(ebuilds, cpv, repository.name)


def _cached(cache: Path) -> Iterator[set[str]]:
    """What the entries of a cache say, without comparing their digests: names are all we want."""
    for entry in cache.glob("*/*"):
        for line in entry.read_bytes().split(b"\n"):
            if line.startswith(_IUSE):
                yield _names(line.removeprefix(_IUSE).decode("utf-8", "replace"))
