"""Which release of a project is meant, and why another one is not."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from packaging.version import Version

from cloche.autogen.errors import NotPublishedError, RefusedError
from cloche.autogen.pypi.index import File, Page
from cloche.autogen.pypi.versions import fault, gentoo_version, out_of_order
from cloche.config.errors import nearest

_SDISTS = (".tar.gz", ".zip")  # in order of preference


@dataclass(frozen=True, slots=True)
class Release:
    """A release with its files."""

    project: str
    version: Version
    sdist: File
    wheels: tuple[File, ...]

    @property
    def pv(self) -> str:
        """The version as Gentoo writes it."""
        return gentoo_version(self.version, self.project)


def chosen(page: Page, wanted: Version | None, kept: Collection[Version] = ()) -> Release:
    """The wanted release, or the newest final one; ``kept`` are those that have an ebuild already.

    Raises `NotPublishedError`, `RefusedError`.
    """
    version = _newest(page) if wanted is None else wanted
    files = [file for file in page.files if file.version == version]
    if not files:
        raise _not_there(page, version)
    yanked = next((file.yanked for file in files if file.yanked is not None), None)
    if yanked is not None:
        what = f"release {version} was withdrawn (yanked): {yanked}"
        raise RefusedError(what, where=page.project, todo=_others(page))
    gentoo_version(version, page.project)
    sdists = [file for suffix in _SDISTS for file in files if file.name.endswith(suffix)]
    if not sdists:
        what = f"release {version} has no source archive (.tar.gz or .zip)"
        raise RefusedError(what, where=page.project, todo="write this ebuild by hand")
    sdist = sdists[0]
    version = sdist.version  # 1.0 and 1.0.0 are equal for Python: as upstream spells it
    finals = [each for each in page.versions if not each.is_prerelease and each != version]
    other = out_of_order(version, [*finals, *kept])
    if other is not None:
        what = f"Gentoo would order {version} and {other} otherwise than Python does"
        raise RefusedError(what, where=page.project, todo="choose another release")
    return Release(page.project, version, sdist, tuple(file for file in files if file.is_wheel))


def missing(page: Page, kept: Collection[Version]) -> tuple[str, ...]:
    """What to say about releases: those of ``kept`` that are published no more, and newer ones
    that have no source archive."""
    said = []
    newer = [v for v in page.versions if kept and not v.is_prerelease and v > max(kept)]
    if lacking := [str(version) for version in newer if version not in with_source(page)]:
        said.append(f"{page.project} {', '.join(lacking)} has no source archive")
    for version in sorted(kept):
        files = [file for file in page.files if file.version == version]
        yanked = next((file.yanked for file in files if file.yanked is not None), None)
        if not files:
            said.append(f"{page.project} {version} is no longer published")
        elif yanked is not None:
            said.append(f"{page.project} {version} was withdrawn (yanked): {yanked}")
    return tuple(said)


def with_source(page: Page) -> set[Version]:
    """The releases that have a source archive."""
    return {file.version for file in page.files if file.name.endswith(_SDISTS)}


def _newest(page: Page) -> Version:
    """The newest final release that is not withdrawn, else the newest pre-release."""
    usable = {file.version for file in page.files if file.yanked is None}
    usable = {version for version in usable if fault(version) is None}
    usable = usable & with_source(page) or usable
    final = [version for version in usable if not version.is_prerelease]
    if not usable:
        what = "no release can be used: none is there, or each was withdrawn or is a dev release"
        raise RefusedError(what, where=page.project, todo="name one: NAME==VERSION")
    return max(final or usable)


def _not_there(page: Page, version: Version) -> NotPublishedError:
    what = f"release {version} is not published"
    return NotPublishedError(what, where=page.project, todo=_others(page, str(version)))


def _others(page: Page, near: str = "") -> str:
    versions = [str(version) for version in page.versions]
    close = nearest(near, versions) if near else None
    meant = f"did you mean {close}? " if close else ""
    return f"{meant}the newest are {', '.join(versions[-5:])}" if versions else "it has none"
