"""From a repository of GitHub to a package: asked, fetched, looked into, decided."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from cloche.autogen.commits import commit_of
from cloche.autogen.errors import RefusedError, UpstreamError
from cloche.autogen.github import answers
from cloche.autogen.github.answers import Asset, Wanted
from cloche.autogen.github.api import Api
from cloche.autogen.github.build_systems import FILES, NoBuildSystemError, recipe
from cloche.autogen.github.choice import Archive, Published, Rule, archives, chosen, missing
from cloche.autogen.github.ebuild import Policy, Release, package
from cloche.autogen.github.mapping import Names
from cloche.autogen.github.recipe import Recipe
from cloche.autogen.github.versions import Version
from cloche.autogen.package import Package
from cloche.autogen.pypi.archive import Sdist, read_sdist
from cloche.autogen.repository import check_distfile, source_of, versions_of
from cloche.autogen.rust.archives import Registry, crates_of
from cloche.autogen.rust.crates import with_crates
from cloche.autogen.trees import Trees
from cloche.config.atoms import PACKAGE, VERSION
from cloche.fetching.download import fetch_file, unchecked
from cloche.fetching.errors import NotThereError

_LARGEST = 1 << 30  # bytes of an archive
DEFAULT_CATEGORY = "app-misc"


@dataclass
class Generator:
    """Makes packages for a repository; ``policy`` may leave the category and name open ("")."""

    api: Api
    trees: Trees
    repository: Path
    policy: Policy
    names: Names
    distdir: Path
    rule: Rule = field(default_factory=Rule)
    report: Callable[[str], None] = lambda _: None
    crates_url: str | None = None

    def package(self, wanted: Wanted) -> Package:
        """The package of a repository.

        Raises `RefusedError`, `NotPublishedError`, `UpstreamError`, `ImportRefusedError`,
        `FetchingError`.
        """
        project = answers.project(self.api, wanted)
        notes = []
        if project.full_name.lower() != str(wanted).lower():
            notes.append(f"{wanted} is now {project.full_name}")
        policy, known = self._policy(project.full_name)
        names = tuple(dict.fromkeys((project.name, policy.pn)))
        published = self._published(wanted, project, f"{policy.category}/{policy.pn}", names)
        version = chosen(published, wanted, names, self.rule)
        self.report(f"{project.full_name} {version.tag}")
        archive, sdist, found = self._sources(published, version, names, policy)
        notes += self._unchecked(archive)
        source = source_of(self.distdir / archive.name)
        release = Release(project, version, archive, source, sdist, found)
        made = package(release, policy, self.names, self.trees)
        if found.crates:
            registry = Registry(self.distdir, self.crates_url, self.report)
            full = project.full_name
            crates = crates_of(sdist, "Cargo.toml", registry, self.trees, full)
            made = with_crates(made, crates)
        if not known:
            notes.append(f"its category is {policy.category}: --category names another one")
        kept = {v.partition("-r")[0] for v in versions_of(self.repository, made.ebuild.cp)}
        notes += missing(published, sorted(kept), names)
        return replace(made, notes=(*notes, *made.notes))

    def _policy(self, full_name: str) -> tuple[Policy, bool]:
        """Category and name: the user's, those of a tree that has it, or of the repository."""
        cp = self.trees.with_remote_id("github", full_name)
        pn = self.policy.pn or (cp.partition("/")[2] if cp else package_name(full_name))
        category = self.policy.category or (cp.partition("/")[0] if cp else "")
        known = category or DEFAULT_CATEGORY
        return replace(self.policy, category=known, pn=pn), bool(category)

    def _published(
        self, wanted: Wanted, project: answers.Project, cp: str, names: tuple[str, ...]
    ) -> Published:
        """What is published; tags alone are only asked for where they matter."""
        full = project.full_name
        releases = answers.releases(self.api, full)
        found = Published(project, releases, ())
        kept = {v.partition("-r")[0] for v in versions_of(self.repository, cp)}
        final = [each for each in releases if self.rule.prerelease or not each.prerelease]
        named = wanted.tag is None or found.release(wanted.tag) is not None
        if final and named and not self.rule.tags and not missing(found, sorted(kept), names):
            return found
        return replace(found, tags=answers.tags(self.api, full))

    def _sources(
        self, published: Published, version: Version, names: tuple[str, ...], policy: Policy
    ) -> tuple[Archive, Sdist, Recipe]:
        """The first archive that can be built: an asset may hold programs and no sources."""
        listed = archives(published, version, names, policy.pn)
        cp = f"{policy.category}/{policy.pn}"
        for archive in listed:
            try:
                sdist = self._looked_into(published, version, archive, cp)
                return archive, sdist, recipe(sdist, published.project.full_name)
            except NoBuildSystemError:
                if archive is listed[-1]:
                    raise
        raise AssertionError  # the last one returns or raises

    def _looked_into(
        self, published: Published, version: Version, archive: Archive, cp: str
    ) -> Sdist:
        full = published.project.full_name
        asset = archive.asset
        if asset is not None:
            path = self._fetched(archive, cp, lambda file: _is_asset(file, asset))
        else:
            commit = answers.commit_of(self.api, full, version.tag)
            path = self._fetched(archive, cp, lambda file: commit_of(file) == commit)
        return read_sdist(path, FILES)

    def _fetched(self, archive: Archive, cp: str, is_right: Callable[[Path], bool]) -> Path:
        """Get an archive into the distfiles, unless the right one is there."""
        target = self.distdir / archive.name
        if target.is_file() and is_right(target):
            return target
        target.parent.mkdir(parents=True, exist_ok=True)
        part = unchecked(target)
        size = archive.asset.size if archive.asset is not None else None
        try:
            fetch_file(archive.uri, part, size=size, limit=_LARGEST)
        except NotThereError as error:
            what = f"the archive {archive.name} was not found"
            todo = "run it again; ask upstream where it is"
            raise UpstreamError(what, where=error.where, todo=todo) from error
        try:
            if not is_right(part) and (archive.asset is not None or commit_of(part) is not None):
                stated = "digest that GitHub states" if archive.asset else "commit of its tag"
                what = f"{archive.name} does not have the {stated}"
                raise UpstreamError(what, where=archive.uri, todo="do not use the file")
            check_distfile(self.repository, cp, archive.name, part)
        except UpstreamError:
            part.unlink()
            raise
        part.replace(target)
        return target

    def _unchecked(self, archive: Archive) -> Iterator[str]:
        """What to say of an archive whose content nothing of GitHub's states."""
        if archive.asset is not None and archive.asset.sha256 is None:
            yield f"{archive.name}: GitHub states no digest of it, so only its size was checked"
        if archive.asset is None and commit_of(self.distdir / archive.name) is None:
            yield f"{archive.name} does not name its commit, so it was not compared with its tag's"


def package_name(full_name: str) -> str:
    """The PN of a repository (PMS 3.1.2). Raises `RefusedError`."""
    name = re.sub(r"[^a-z0-9+_-]+", "-", full_name.partition("/")[2].lower()).strip("-+_")
    if not re.fullmatch(PACKAGE, name) or re.fullmatch(rf".*-{VERSION}", name):
        what = "its name cannot be that of a package"
        raise RefusedError(what, where=full_name, todo="give one with --name")
    return name


def _is_asset(path: Path, asset: Asset) -> bool:
    """Whether a file has an asset's size, and its digest where GitHub states one."""
    if path.stat().st_size != asset.size:
        return False
    if asset.sha256 is None:
        return True
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest() == asset.sha256
