"""The closure of packages in an overlay: what they inherit, use and need, as Portage says it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from cloche.overlays import profiles, selection
from cloche.overlays.asking import CACHE, Ebuild, Portage
from cloche.overlays.content import File, Files, check_links, check_names, plain, write_files
from cloche.overlays.errors import OverlayError, failed, not_taken
from cloche.overlays.manifests import check
from cloche.overlays.selection import LAYOUT, REPO_NAME, Listing
from cloche.overlays.source import Source
from cloche.portage.etc import REPOS
from cloche.portage.repository import read_layout
from cloche.store import Store

OURS = "-"
"""The origin of a file that the overlay does not have."""


@dataclass(frozen=True, slots=True)
class Closure:
    """All files of an overlay in part, but for its lock.

    ``packages`` has the reason of each, empty for those that were asked for; ``why`` the reasons of
    each file; ``origins`` the ids of the overlay's files that others were made of. ``lacking`` are
    dependencies that no repository has, with those that need them; ``warnings`` are for people.
    """

    files: Files
    packages: Mapping[str, str]
    why: Mapping[str, tuple[str, ...]]
    origins: Mapping[str, str]
    lacking: Mapping[str, tuple[str, ...]]
    warnings: tuple[str, ...] = ()


@dataclass(slots=True)
class Taking:
    """Takes packages out of one commit of an overlay.

    ``edits`` are local files that go before the overlay's own; None: a file that is removed.
    """

    source: Source
    commit: str
    portage: Portage
    edits: Mapping[str, File | None] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    taken: dict[str, File] = field(default_factory=dict)
    packages: dict[str, str] = field(default_factory=dict)
    lacking: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def overlay(self) -> str:
        """Its name."""
        return self.source.overlay

    @property
    def store(self) -> Store:
        """Where work is done."""
        return self.portage.store

    def run(self, wanted: Sequence[str], needed: Mapping[str, str]) -> Closure:
        """Take these packages with all that they need. Raises ClocheError.

        ``needed`` are packages of this overlay, if it has them, with what needs each.
        """
        listing = self.source.listing(self.commit)
        selection.check_tree(self.overlay, listing)
        selection.check_packages(self.overlay, listing, wanted)
        self._fetch(selection.common(listing))
        self._identify()
        known = selection.packages(listing)
        new = {package: why for package, why in needed.items() if package in known}
        new |= dict.fromkeys(wanted, "")
        ebuilds: tuple[Ebuild, ...] = ()
        while new:
            self.packages |= new
            parts = [selection.of_package(listing, package) for package in new]
            self._fetch({path: entry for part in parts for path, entry in part.items()})
            ebuilds = self._ask()
            new = self._needed(listing, ebuilds)
        names = {name for each in ebuilds for name in each.licenses}
        self._fetch(selection.licenses(listing, names))
        return self._finished(ebuilds)

    def _fetch(self, part: Listing) -> None:
        """Bring files in, with the local edits of them."""
        check_names(self.overlay, part)
        wanted = {path: entry for path, entry in part.items() if path not in self.taken}
        with self.store.workspace("overlay-fetch") as room:
            texts = self.source.contents(wanted, room)
        self.taken |= {path: File(part[path].mode, text) for path, text in texts.items()}
        for path, file in self.edits.items():
            if file is not None:
                self.taken[path] = file
            else:
                self.taken.pop(path, None)

    def _text(self, path: str) -> str:
        file = self.taken.get(path)
        return file.content.decode(errors="replace") if file else ""

    def _identify(self) -> None:
        """See that it is the overlay that was meant, and that its masters are there."""
        layout = read_layout(self._text(LAYOUT))
        own = (self._text(REPO_NAME).split() or [layout.get("repo-name") or self.overlay])[0]
        if own != self.overlay:
            todo = f"write ::{own[:60]}"
            raise not_taken(self.overlay, f"the repository calls itself “{own[:60]}”", todo)
        if REPO_NAME not in self.taken:
            self._make(REPO_NAME, f"{self.overlay}\n")
        main = self.portage.main if self.portage.main in self.portage.repos else None
        masters = layout["masters"].split() if "masters" in layout else [main] if main else []
        for master in masters:
            if master not in self.portage.repos:
                what = f"its master “{master[:60]}” is not configured"
                raise not_taken(self.overlay, what, f"add the repository {master[:60]} first")
        self._make(LAYOUT, profiles.layout(self._text(LAYOUT), main))

    def _make(self, path: str, text: str) -> None:
        """Write a file of our own, or another content for one of the overlay's."""
        made, old = plain(text), self.taken.get(path)
        if old is None or old.content != made.content:
            self.origins[path] = old.id if old else OURS
            self.taken[path] = made

    def _ask(self) -> tuple[Ebuild, ...]:
        """Let Portage read all packages that are taken so far. Raises OverlayError."""
        check_links(self.overlay, self.taken)
        with self.store.workspace("overlay-tree") as room:
            write_files(room / "tree", self.taken)
            found = self.portage.ebuilds(self.overlay, room / "tree", tuple(self.packages))
        for each in found:
            if each.error:
                raise self._unreadable(each)
        if silent := sorted(self.packages.keys() - {each.package for each in found}):
            what = f"Portage finds no ebuild of {silent[0]}"
            raise not_taken(self.overlay, what, "is its category in profiles/categories?")
        return found

    def _unreadable(self, ebuild: Ebuild) -> OverlayError:
        what = f"{ebuild.cpv} cannot be sourced: {ebuild.error}"
        todo = "tell the overlay's owner; is a repository missing that it builds on?"
        circle = circle_of({p: self._text(p) for p in self.taken if p.startswith("eclass/")})
        if circle and "could not be found" not in ebuild.error:
            what += f" (eclasses inherit each other: {' → '.join(circle)})"
        return failed(self.overlay, what, todo)

    def _needed(self, listing: Listing, ebuilds: Iterable[Ebuild]) -> dict[str, str]:
        """Packages of the overlay that are needed besides; what nobody has is noted."""
        known = selection.packages(listing)
        new: dict[str, str] = {}
        lacking: dict[str, tuple[str, ...]] = {}
        for each in ebuilds:
            for choices in each.needs:
                fits = [
                    [cp for _, cp in choice]
                    for choice in choices
                    if all(cp in known and cp not in self.packages for _, cp in choice)
                ]
                if fits:
                    new |= {cp: each.cpv for cp in fits[0] if cp not in new}
                    continue
                for atom, _ in choices[0]:
                    lacking[atom] = (*lacking.get(atom, ()), each.cpv)
        self.lacking = lacking
        return new

    def _finished(self, ebuilds: Sequence[Ebuild]) -> Closure:
        """The files that stay, checked, with a metadata cache."""
        why = self._reasons(ebuilds)
        files = {path: self.taken[path] for path in why if path in self.taken}
        used = profiles.Used(
            frozenset(self.packages),
            frozenset(flag for each in ebuilds for flag in each.iuse),
            frozenset(p.removeprefix("licenses/") for p in files if p.startswith("licenses/")),
            frozenset(name for each in ebuilds for name in each.mirrors),
        )
        for path in [path for path in self.taken if path.startswith("profiles/")]:
            below = path.removeprefix("profiles/")
            text = profiles.concerning(below, self._text(path), used)
            if text is not None or (path in self.edits and path in self.taken):
                if path not in self.edits:
                    self._make(path, text or "")
                files[path] = self.taken[path]
                why[path] = tuple(self.packages) if below in _LISTS else ("the repository",)
        warnings = self._check_manifests(files, ebuilds)
        files |= self._cache(files, ebuilds)
        for path in files:
            if path.startswith(f"{CACHE}/"):
                why[path] = (f"metadata of {path.removeprefix(f'{CACHE}/')}",)
        return Closure(files, self.packages, why, self.origins, self.lacking, warnings)

    def _reasons(self, ebuilds: Iterable[Ebuild]) -> dict[str, tuple[str, ...]]:
        """Why each file outside of profiles/ is taken."""
        why: dict[str, list[str]] = {}
        categories = {package.partition("/")[0]: package for package in self.packages}
        for path in self.taken:
            package = selection.owner(path)
            if package in self.packages:
                why[path] = [package or ""]
            elif path.startswith("metadata/"):
                why[path] = ["the repository"]
            elif path.endswith("/metadata.xml") and path.count("/") == 1:
                category = path.partition("/")[0]
                why[path] = [categories[category]] if category in categories else []
        here = f"{REPOS}/{self.overlay}"
        for each in ebuilds:
            for name, place in each.eclasses.items():
                path = f"eclass/{name}.eclass"
                if path in self.taken and (place == here or path in self.edits):
                    why.setdefault(path, []).append(each.cpv)
            for name in each.licenses:
                if f"licenses/{name}" in self.taken:
                    why.setdefault(f"licenses/{name}", []).append(each.cpv)
        return {path: tuple(dict.fromkeys(reasons)) for path, reasons in why.items() if reasons}

    def _check_manifests(self, files: Files, ebuilds: Iterable[Ebuild]) -> tuple[str, ...]:
        warnings: list[str] = []
        for package in self.packages:
            sources = {n: e.cpv for e in ebuilds if e.package == package for n in e.distfiles}
            found = check(package, files, sources, self.edits)
            if found.wrong:
                todo = "do not use it; tell the overlay's owner"
                raise failed(self.overlay, found.wrong[0], todo, "\n".join(found.wrong[1:]))
            warnings += found.undigested
            for wrong in check(package, files, sources).wrong:  # Portage refuses it as it is
                warnings.append(f"{wrong}: update it, as with `pkgdev manifest`")
        return tuple(warnings)

    def _cache(self, files: Files, ebuilds: Iterable[Ebuild]) -> Files:
        """The metadata cache of what is left: each ebuild has to be readable with that alone."""
        check_links(self.overlay, files)
        with self.store.workspace("overlay-tree") as room:
            write_files(room / "tree", files)
            (room / "tree" / CACHE).mkdir(parents=True)
            made = self.portage.cache(self.overlay, room / "tree")
        wanted = {f"{CACHE}/{each.cpv}" for each in ebuilds}
        if lost := sorted(wanted - made.keys()):
            what = f"no metadata for {lost[0].removeprefix(f'{CACHE}/')}"
            raise failed(self.overlay, what, f"see {self.store.logs}/overlay/{self.overlay}")
        return {path: made[path] for path in sorted(wanted)}


_LISTS = frozenset({"categories", "package.mask", "use.local.desc", "use.desc"})


def circle_of(eclasses: Mapping[str, str]) -> list[str]:
    """Eclasses that inherit each other in a circle, to explain why an ebuild cannot be sourced."""
    edges = {
        path.removeprefix("eclass/").removesuffix(".eclass"): [
            word
            for line in text.splitlines()
            if line.split()[:1] == ["inherit"]
            for word in line.split("#")[0].split()[1:]
        ]
        for path, text in eclasses.items()
    }
    for start in sorted(edges):
        path, stack = {start: [start]}, [start]
        while stack:
            name = stack.pop()
            for below in edges.get(name, ()):
                if below == start:
                    return [*path[name], start]
                if below in edges and below not in path:
                    path[below] = [*path[name], below]
                    stack.append(below)
    return []
