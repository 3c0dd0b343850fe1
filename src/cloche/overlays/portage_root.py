"""The root in which Portage reads ebuilds: a seed of the store, or this host's own programs.

On a Gentoo system these are the directories of its programs and libraries, read-only, and nothing
else of the host. A seed's whole root is read-only but for a writable top that is thrown away.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cloche.config.project import Project
from cloche.errors import ClocheError
from cloche.sandbox.base import Bind, Sandbox
from cloche.seeds.arch import arch_of, host_arch
from cloche.seeds.stored import find_seed, stored_seeds
from cloche.store import Store

#: What programs of a system are made of; a link is made anew, a directory or file is bound.
_PARTS = ("usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32")
_FILES = ("etc/passwd", "etc/group", "etc/ld.so.cache", "etc/ld.so.conf", "etc/python-exec")
_EGENCACHE = "usr/bin/egencache"


@dataclass(frozen=True, slots=True)
class PortageRoot:
    """``path`` is a root with Portage. ``whole``: it is the store's, so all of it may be seen.

    ``installed``: what is installed in it counts as there, as in builds over that seed.
    """

    path: Path
    name: str
    whole: bool
    installed: bool = False

    def sandbox(self, room: Path, binds: Iterable[Bind]) -> Sandbox:
        """A sandbox without network; ``room`` is a directory for what is written in it."""
        upper = room / "root"
        upper.mkdir()
        if self.whole:
            return Sandbox(lowers=(self.path,), upper=upper, binds=tuple(binds))
        bottom = room / "bottom"
        bottom.mkdir()
        bottom.chmod(0o755)
        for name in ("etc", "tmp", "var", "var/tmp", "var/cache", "var/lib", "var/db", "root"):
            (bottom / name).mkdir(mode=0o755)
        own = tuple(_shown(self.path, bottom))
        return Sandbox(lowers=(bottom,), upper=upper, binds=(*own, *binds))


def _shown(root: Path, bottom: Path) -> Iterator[Bind]:
    for name in _PARTS:
        place = root / name
        if place.is_symlink():
            (bottom / name).symlink_to(place.readlink())
        elif place.is_dir():
            yield Bind(place, f"/{name}")
    for name in _FILES:
        if (root / name).exists():
            yield Bind((root / name).resolve(), f"/{name}")


def find(store: Store, project: Project | None, host: Path = Path("/")) -> PortageRoot:
    """The root to use: a seed of the project, the host if it is Gentoo, any seed of the store.

    Raises ClocheError.
    """
    if project is not None:
        for spec in project.seeds.values():
            found = find_seed(store, project, spec)
            if found is not None and not found.about.interpreters:
                tree = store.tree(found.layer).path
                return PortageRoot(tree, f"the seed {spec.name}", True, installed=True)
    if (host / _EGENCACHE).exists():
        return PortageRoot(host, "this host's Portage", False)
    seeds = [each for each in stored_seeds(store) if not each.about.interpreters]
    for each in sorted(seeds, key=lambda seed: seed.about.created, reverse=True):
        if store.has_tree(each.layer):
            tree = store.tree(each.layer).path
            if arch_of(tree) == host_arch().gentoo:
                return PortageRoot(tree, f"the seed {each.about.name}", True)
    begin = "" if project else "`cloche init DIR`, then "
    what = "nothing here has Portage, which reads the ebuilds"
    raise ClocheError(what, todo=f"make a seed: {begin}`cloche seed bootstrap`")
