"""The two kinds of upstream that a list names: what state each is in, and its packages."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from packaging.utils import canonicalize_name
from packaging.version import Version

from cloche.autogen.errors import NotPublishedError, RateLimitError
from cloche.autogen.github import answers
from cloche.autogen.github import ebuild as of_github
from cloche.autogen.github import generate as github
from cloche.autogen.github.api import Api
from cloche.autogen.github.choice import Rule
from cloche.autogen.github.mapping import Names
from cloche.autogen.package import Package
from cloche.autogen.pypi import ebuild as of_pypi
from cloche.autogen.pypi import generate as pypi
from cloche.autogen.pypi.index import Page
from cloche.autogen.pypi.names import package_name
from cloche.autogen.pypi.versions import fault
from cloche.autogen.run.conditional import KeptIndex
from cloche.autogen.run.listed import NEWEST, Entry
from cloche.autogen.trees import Trees

Report = Callable[[str], None]


class Upstream(Protocol):
    """Where packages come from. All methods raise `ClocheError`."""

    def state(self, entry: Entry) -> str:
        """A digest of what is published of a package."""
        ...

    def packages(self, entry: Entry, version: str) -> tuple[Package, ...]:
        """The package for one of the entry's ``versions``, and those that it brings along."""
        ...

    def cp(self, entry: Entry) -> str | None:
        """The package's category and name in the repository, if that has it."""
        ...


@dataclass
class Pypi:
    """Projects of an index; ``page`` is where it shows them to people."""

    index: KeptIndex
    trees: Trees
    repository: Path
    distdir: Path
    page: str
    report: Report
    crates_url: str | None = None

    def state(self, entry: Entry) -> str:
        """The digest of the project's page."""
        return self.index.state(canonicalize_name(entry.name))

    def packages(self, entry: Entry, version: str) -> tuple[Package, ...]:
        """The package, with ``deps`` also those that no repository has."""
        given = entry.settings
        policy = of_pypi.Policy(
            entry.category or given.category, given.keywords, given.maintainers, entry.license
        )
        generator = pypi.Generator(
            self.index,
            self.trees,
            self.repository,
            policy,
            self.distdir,
            self.page,
            entry.deps,
            self.report,
            self.crates_url,
        )
        wanted = None
        if version != NEWEST or entry.prereleases:
            page = self.index.page(canonicalize_name(entry.name))
            wanted = newest_of(page, version, prereleases=entry.prereleases)
        return generator.packages(pypi.Wanted(entry.name, wanted))

    def cp(self, entry: Entry) -> str | None:
        """Its name in a repository that has it, else in the category of the entry."""
        category = entry.category or entry.settings.category
        made = f"{category}/{package_name(entry.name)}"
        found = self.trees.package_of(entry.name) or made
        return found if (self.repository / found).is_dir() else None


@dataclass
class Github:
    """Repositories of GitHub. After its rate limit is used up, it is asked for nothing more."""

    api: Api
    trees: Trees
    repository: Path
    distdir: Path
    names: Names
    report: Report
    crates_url: str | None = None
    _limited: RateLimitError | None = None

    def state(self, entry: Entry) -> str:
        """The digest of the releases, of the tags where these count, and of the user's names."""
        with self._asking():
            wanted = answers.wanted(entry.name)
            releases = answers.releases(self.api, str(wanted))
            final = any(entry.prereleases or not each.prerelease for each in releases)
            tags = () if final and not entry.tags else answers.tags(self.api, str(wanted))
        return hashlib.sha256(f"{(releases, tags)!r}{self.names.own}".encode()).hexdigest()

    def packages(self, entry: Entry, version: str) -> tuple[Package, ...]:
        """The package of the newest release."""
        given = entry.settings
        policy = of_github.Policy(
            entry.category, entry.pn, given.keywords, given.maintainers, entry.license
        )
        series = "" if version == NEWEST else version
        generator = github.Generator(
            self.api,
            self.trees,
            self.repository,
            policy,
            self.names,
            self.distdir,
            Rule(entry.prereleases, entry.tags, entry.matching, series),
            self.report,
            self.crates_url,
        )
        with self._asking():
            return (generator.package(answers.wanted(entry.name)),)

    def cp(self, entry: Entry) -> str | None:
        """The package whose metadata.xml names the repository."""
        found = self.trees.with_remote_id("github", entry.name)
        return found if found and (self.repository / found).is_dir() else None

    @contextlib.contextmanager
    def _asking(self) -> Iterator[None]:
        if self._limited is not None:
            raise self._limited
        try:
            yield
        except RateLimitError as error:
            self._limited = error
            raise


def newest_of(page: Page, series: str, *, prereleases: bool) -> Version:
    """The newest usable release of a series. Raises `NotPublishedError`.

    Pre-releases count where they are asked for, or are all that there is.
    """
    sources = {file.version for file in page.files if not file.is_wheel}
    gone = {file.version for file in page.files if file.yanked is not None}
    usable = [v for v in _in_series(page, series) if fault(v) is None and v in sources - gone]
    final = [version for version in usable if not version.is_prerelease]
    if not usable:
        what = "no release can be used" if series == NEWEST else f"no release of series {series}"
        newest = ", ".join(map(str, page.versions[-5:]))
        raise NotPublishedError(what, where=page.project, todo=f"the newest are {newest}")
    return max(usable if prereleases else final or usable)


def _in_series(page: Page, series: str) -> Iterator[Version]:
    wanted = () if series == NEWEST else tuple(map(int, series.split(".")))
    for version in page.versions:
        padded = (*version.release, *(0 for _ in wanted))
        if padded[: len(wanted)] == wanted and (version.epoch == 0 or not wanted):
            yield version
