"""From the name of a Python project to packages: the release, and what it needs that is nowhere."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import cache, cached_property, partial
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from cloche.autogen.errors import NotPublishedError, RefusedError
from cloche.autogen.package import Package
from cloche.autogen.pypi import names, pythons
from cloche.autogen.pypi.archive import Sdist, read_sdist, wheel_metadata
from cloche.autogen.pypi.ebuild import Policy, Published, package
from cloche.autogen.pypi.index import Index, Page, best_wheel
from cloche.autogen.pypi.needs import Named, Naming, wanted_extras
from cloche.autogen.pypi.project import (
    Metadata,
    build_system,
    is_complete,
    is_rust,
    read_metadata,
    read_pyproject,
    sdist_metadata,
)
from cloche.autogen.pypi.release import Release, chosen, missing, with_source
from cloche.autogen.pypi.rust import manifest_of
from cloche.autogen.repository import check_distfile, source_of, versions_of
from cloche.autogen.rust import crates
from cloche.autogen.rust.archives import Registry, crates_of
from cloche.autogen.rust.crates import with_crates
from cloche.autogen.trees import Trees

_WHEEL = 64 << 20  # bytes of a wheel that is fetched for its metadata alone

# Projects that Gentoo has elsewhere than in dev-python, where no tree says so, and those of them
# that are not built for Python targets.
_ELSEWHERE = {
    "cmake": "dev-build/cmake", "gemato": "app-portage/gemato", "maturin": "dev-util/maturin",
    "meson": "dev-build/meson", "ninja": "app-alternatives/ninja", "pkgcore": "sys-apps/pkgcore",
    "portage": "sys-apps/portage", "scons": "dev-build/scons",
}  # fmt: skip
_WITHOUT_TARGETS = ("cmake", "ninja")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A project, and the version of it that is wanted; None: the newest."""

    project: str
    version: Version | None = None


def wanted(text: str) -> Wanted:
    """Read ``NAME`` or ``NAME==VERSION``. Raises `RefusedError`."""
    project, equals, version = text.partition("==")
    names.checked(project)
    if not equals:
        return Wanted(project)
    try:
        return Wanted(project, Version(version))
    except InvalidVersion as error:
        what = f"“{version}” is not a version (PEP 440)"
        raise RefusedError(what, where=project, todo="write NAME==VERSION") from error


@dataclass(frozen=True, slots=True)
class Needed:
    """What is required of a project: versions, all at once if that can be, and extras.

    ``published`` are the versions that there are.
    """

    specifiers: tuple[SpecifierSet, ...] = ()
    extras: frozenset[str] = frozenset()
    published: tuple[Version, ...] = ()

    def and_also(self, wanted: Requirement) -> Needed:
        """What meets another requirement, too."""
        extras = self.extras.union(map(canonicalize_name, wanted.extras))
        return replace(self, specifiers=(*self.specifiers, wanted.specifier), extras=extras)

    def releases(self) -> tuple[SpecifierSet, ...]:
        """What releases have to be, so that each requirement is met by one of them.

        There are several where no release meets all, as where Python 3.12 needs another than 3.11.
        """
        found: dict[frozenset[int], SpecifierSet] = {}
        for first, joint in enumerate(self.specifiers):
            met = {first}
            for number, each in enumerate(self.specifiers):
                if next((joint & each).filter(self.published), None) is not None:
                    joint, met = joint & each, met | {number}
            found.setdefault(frozenset(met), joint)
        return tuple(found.values())


@dataclass
class Generator:
    """Makes packages of projects for a repository, whose own place is the first of ``trees``.

    ``distdir`` gets the source archives; ``report`` is called with the name of each release.
    ``crates_url`` is the address of a `Registry`.
    """

    index: Index
    trees: Trees
    repository: Path
    policy: Policy
    distdir: Path
    page: str
    deps: bool = False
    report: Callable[[str], None] = lambda _: None
    crates_url: str | None = None
    _read: dict[str, Metadata] = field(default_factory=dict)

    def packages(self, first: Wanted) -> tuple[Package, ...]:
        """The package of a project, with `deps` also those that no tree has.

        Raises `RefusedError`, `NotPublishedError`, `UpstreamError`, `ImportRefusedError`.
        """
        made: dict[tuple[str, Version], Package] = {}
        extras: dict[str, frozenset[str]] = {}
        waiting = deque([(first, SpecifierSet(), frozenset[str](), "")])
        while waiting:
            each, specifier, asked, whose = waiting.popleft()
            project = canonicalize_name(each.project)
            known = extras.get(project, frozenset())
            fits = [v for p, v in made if p == project and specifier.contains(v)]
            if whose and fits and asked <= known:
                continue
            extras[project] = known | asked
            wanted = Wanted(project, fits[0]) if whose and fits else each
            try:
                release = self._release(wanted, specifier, first=not whose)
                found, needed = self._package(release, extras[project], tested=not whose)
            except (RefusedError, NotPublishedError) as error:
                if whose:
                    error.where = f"{error.where or project}, which {whose} needs"
                raise
            if self.deps:
                waiting += [
                    (Wanted(name), one, needed[name].extras, found.ebuild.cpv)
                    for name in sorted(needed)
                    for one in needed[name].releases()
                ]
            elif needed:
                note = f"{found.ebuild.cpv} needs what no repository has: "
                found = replace(found, notes=(*found.notes, note + ", ".join(sorted(needed))))
            made[project, release.version] = found
        return tuple(made.values())

    def _release(self, wanted: Wanted, specifier: SpecifierSet, *, first: bool) -> Release:
        """The release that is meant; of a dependency, the newest for any of the targets."""
        try:
            page = self.index.page(canonicalize_name(wanted.project))
        except NotPublishedError as error:
            close = self.trees.near(wanted.project)
            if close is not None and close != canonicalize_name(wanted.project):
                error.todo = f"did you mean “{close}”? {error.todo}"
            raise
        version = wanted.version
        if not first:
            files = tuple(file for file in page.files if _runs(file.requires_python, self._targets))
            page = replace(page, files=files or page.files)
        if version is None and len(specifier):
            version = _newest_of(page, specifier)
        return chosen(page, version, _kept(self.repository, self._cp(page.project)))

    def _cp(self, project: str) -> str:
        """Category and name of a project's package: those of a tree that has it."""
        made = f"{self.policy.category}/{names.package_name(project)}"
        return self.trees.package_of(project) or made

    @cached_property
    def _targets(self) -> tuple[str, ...]:
        known = pythons.known_targets(self.trees.described("python_targets"))
        return known or pythons.DEFAULT_TARGETS

    def _package(
        self, release: Release, extras: frozenset[str], *, tested: bool
    ) -> tuple[Package, dict[str, Needed]]:
        """A package, and the projects that no tree has of those that it needs: always, with these
        extras, and if ``tested`` for its tests."""
        self.report(f"{release.project} {release.version}")
        cp = self._cp(release.project)
        check = partial(check_distfile, self.repository, cp, release.sdist.name)
        path = self.index.fetch(release.sdist, self.distdir, check)
        sdist = read_sdist(path)
        metadata = self._metadata(release, sdist)
        page = f"{self.page}/{release.project}/"
        pyproject = dict(read_pyproject(sdist, release.project))
        published = Published(release, metadata, sdist, pyproject, source_of(path), page)
        needed: dict[str, Needed] = {}
        of_tests: dict[str, Needed] = needed if tested else {}
        of_flags: dict[str, Needed] = {}

        def required(project: str, extra: str) -> tuple[Requirement, ...]:
            if project == canonicalize_name(release.project):
                return metadata.requires
            return self._required(project, extra)

        def optional(wanted: Requirement, flag: str) -> Named:
            return self._named(needed if flag in extras else of_flags, wanted)

        found = package(
            published,
            cp,
            self.policy if tested else replace(self.policy, license=None),
            self.trees,
            self._targets,
            Naming(partial(self._named, needed), required, optional),
            Naming(partial(self._named, of_tests), required, optional),
        )
        found = self._with_crates(found, published, path)
        needed.pop(canonicalize_name(release.project), None)
        kept = _kept(self.repository, found.ebuild.cp)
        notes = missing(self.index.page(release.project), {*kept, release.version})
        notes = (*found.notes, *notes)
        return replace(found, notes=notes), needed

    def _with_crates(self, found: Package, published: Published, path: Path) -> Package:
        """The package with the Rust crates that it is built from, if it is."""
        release, sdist, pyproject = published.release, published.sdist, published.pyproject
        build = build_system(sdist, pyproject, release.project)
        native = not all(wheel.is_pure for wheel in release.wheels)
        if not is_rust(sdist, build, native=native):
            return found
        inside = read_sdist(path, crates.FILES)
        manifest = manifest_of(pyproject, sdist.names, release.project)
        registry = Registry(self.distdir, self.crates_url, self.report)
        made = crates_of(inside, manifest, registry, self.trees, release.project)
        return with_crates(found, made)

    def _metadata(self, release: Release, sdist: Sdist) -> Metadata:
        """The metadata of a release, from where they are complete; what is at hand comes first."""
        wheel = best_wheel(release.wheels)
        data = self.index.metadata(wheel) if wheel is not None else None
        if data is None and is_complete(sdist):
            data = (sdist.text("PKG-INFO") or "").encode()
        if data is None and wheel is not None and (wheel.size or 0) <= _WHEEL:
            data = wheel_metadata(self.index.fetch(wheel, self.distdir, limit=_WHEEL))
        if data is None:
            return sdist_metadata(sdist, release.project)
        return read_metadata(data, release.project)

    def _named(self, needed: dict[str, Needed], requirement: Requirement) -> Named:
        """The package of a required project; it is noted where no tree has a fitting version."""
        project = canonicalize_name(requirement.name)
        cp = self.trees.package_of(project)
        versions = tuple(_pythonic(self.trees.versions(cp))) if cp is not None else ()
        fitting = versions
        if self.deps and (cp is None or (self.repository / cp).is_dir()):
            versions = self._published(project)  # the same in a second run
        if not any(requirement.specifier.contains(v, prereleases=True) for v in fitting):
            there = Needed(published=self._published(project) if self.deps else ())
            needed[project] = needed.get(project, there).and_also(requirement)
        if cp is not None:
            return Named(cp, versions, self.trees.flags(cp), self._has_targets(cp))
        elsewhere = _ELSEWHERE.get(project)
        if elsewhere is not None:
            needed.pop(project, None)
            return Named(elsewhere, (), None, project not in _WITHOUT_TARGETS)
        flags = self._offered(project) if requirement.extras else None
        return Named(self._cp(project), versions, flags)

    def _has_targets(self, cp: str) -> bool:
        """Whether a package of a tree has Python targets. Raises `RefusedError`."""
        found = self.trees.targets_of(cp)
        if found == "one":
            what = f"{cp} is built for one Python at a time (python-single-r1), not for all targets"
            raise RefusedError(what, where=cp, todo="write this ebuild by hand")
        return found == "each"

    def _published(self, project: str) -> tuple[Version, ...]:
        try:
            return self.index.page(project).versions
        except NotPublishedError:
            return ()

    def _offered(self, project: str) -> frozenset[str] | None:
        """The extras that would be flags of a project's package; None if it is not published."""
        try:
            return frozenset(wanted_extras(self._described(project).extras))
        except (NotPublishedError, RefusedError):
            return None

    def _required(self, project: str, extra: str) -> tuple[Requirement, ...]:
        """What the newest release of another project requires with an extra."""
        self.report(f"{project}[{extra}]")
        return self._described(project).requires

    def _described(self, project: str) -> Metadata:
        """The metadata of the newest release of another project."""
        if project not in self._read:
            release = chosen(self.index.page(project), None)
            wheel = best_wheel(release.wheels)
            data = self.index.metadata(wheel) if wheel is not None else None
            if data is not None:
                self._read[project] = read_metadata(data, project)
            else:
                sdist = read_sdist(self.index.fetch(release.sdist, self.distdir))
                self._read[project] = self._metadata(release, sdist)
        return self._read[project]


@cache
def _runs(requires: str | None, targets: tuple[str, ...]) -> bool:
    """Whether a file is for any of the targets; what is malformed is refused later."""
    try:
        return bool(pythons.pythons(requires, targets, "").targets)
    except RefusedError:
        return False


def _newest_of(page: Page, specifier: SpecifierSet) -> Version:
    """The newest release that a specifier accepts and that is not withdrawn, if one has it with a
    source archive."""
    usable = {f.version for f in page.files if f.yanked is None}
    usable = usable & with_source(page) or usable
    found = list(specifier.filter(sorted(usable)))
    if not found:
        what = f"no release is accepted by “{specifier}”"
        raise NotPublishedError(what, where=page.project, todo="write this ebuild by hand")
    return found[-1]


def _kept(repository: Path, cp: str) -> tuple[Version, ...]:
    """The versions of a package in a repository, as Python's."""
    return tuple(_pythonic({v.partition("-r")[0] for v in versions_of(repository, cp)}))


def _pythonic(versions: Iterable[str]) -> Iterable[Version]:
    for version in sorted(versions):
        try:
            yield Version(names.translated(version))
        except InvalidVersion:  # another scheme: Python's specifiers say nothing about it
            continue
