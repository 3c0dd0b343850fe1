"""Which release or tag is meant, and which of its archives. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from cloche.autogen.errors import NotPublishedError, RefusedError
from cloche.autogen.github.answers import Asset, Project, Release, Wanted, is_plain
from cloche.autogen.github.versions import Version, version_of
from cloche.config.errors import nearest
from cloche.plan.versions import version_key

# Of what `unpack` of EAPI 8 knows (PMS 12.3.15), the smaller ones first.
_SUFFIXES = (".tar.xz", ".txz", ".tar.bz2", ".tbz2", ".tar.gz", ".tgz")
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Rule:
    """Which tags count where none is named: ``matching`` is a regular expression for them.

    ``tags``: all of them, not only those of releases; ``prerelease``: early ones, too; ``series``:
    only versions that are it or begin with it and a dot.
    """

    prerelease: bool = False
    tags: bool = False
    matching: str = ""
    series: str = ""


@dataclass(frozen=True, slots=True)
class Published:
    """What is published of a project under its versions."""

    project: Project
    releases: tuple[Release, ...]
    tags: tuple[str, ...]

    def release(self, tag: str) -> Release | None:
        """The release of a tag; None if it is a tag alone."""
        return next((each for each in self.releases if each.tag == tag), None)


@dataclass(frozen=True, slots=True)
class Archive:
    """A source archive: how it is named in the distfiles, and where it is.

    ``asset`` is None for the one that GitHub generates of a tag.
    """

    name: str
    uri: str
    asset: Asset | None = None


def chosen(published: Published, wanted: Wanted, names: Collection[str], rule: Rule) -> Version:
    """The wanted tag's version, or the newest one. Raises `NotPublishedError`, `RefusedError`."""
    if wanted.tag is not None:
        return version_of(_named(published, wanted, names), names, named=True)
    early = {each.tag for each in published.releases if each.prerelease}
    # A project that makes releases means them, not all of its tags.
    listed = [] if rule.tags else [each.tag for each in published.releases]
    listed = [tag for tag in listed if rule.prerelease or tag not in early]
    tags = [tag for tag in listed or published.tags if re.search(rule.matching, tag)]
    found, refused = _versions(tags, names, named=bool(rule.matching))
    usable = [e for e in found if rule.prerelease or (not e.is_early and e.tag not in early)]
    if rule.series:
        usable = [each for each in usable if re.match(rf"{re.escape(rule.series)}(?!\d)", each.pv)]
        if not usable:
            what = f"no release of series {rule.series}"
            raise NotPublishedError(what, where=wanted, todo=_newest(tags))
    if not usable:
        raise _nothing(published, wanted, refused, early=bool(found or early))
    newest = max(usable, key=lambda each: version_key(each.pv))
    same = [each.tag for each in usable if version_key(each.pv) == version_key(newest.pv)]
    if len(same) > 1:
        what = f"the tags {', '.join(sorted(same))} are the same version"
        raise RefusedError(what, where=wanted, todo=f"name one: {wanted}@TAG")
    return newest


def missing(published: Published, kept: Collection[str], names: Collection[str]) -> tuple[str, ...]:
    """What to say about versions that have an ebuild and are no longer published."""
    tags = {*published.tags, *(each.tag for each in published.releases)}
    keys = {version_key(each.pv) for each in _versions(tags, names, named=True)[0]}
    gone = [pv for pv in kept if "9999" not in pv and version_key(pv) not in keys]
    return tuple(f"{published.project.full_name} {pv} is no longer published" for pv in gone)


def archives(
    published: Published, version: Version, names: Collection[str], pn: str
) -> tuple[Archive, ...]:
    """The archives that may be a version's sources, the best first, the generated one last."""
    release = published.release(version.tag)
    own = [each for each in release.assets if _rank(each.name, version, names)] if release else []
    own.sort(key=lambda each: (_rank(each.name, version, names), each.name))
    uri = f"{published.project.page}/archive/refs/tags/{version.tag}.tar.gz"
    return (
        *(Archive(_distfile(each.name, version, pn), each.uri, each) for each in own),
        Archive(f"{pn}-{version.pv}.gh.tar.gz", uri),  # its content may differ from an asset's
    )


def _named(published: Published, wanted: Wanted, names: Collection[str]) -> str:
    """The tag that the user means, written whole or as its version alone."""
    known = [*dict.fromkeys((*(each.tag for each in published.releases), *published.tags))]
    given = wanted.tag or ""
    if given in known:
        return given
    alike = [
        each.tag for each in _versions(known, names, named=True)[0] if given in (each.pv, each.text)
    ]
    if len(alike) == 1:
        return alike[0]
    close = nearest(given, known)
    meant = f"did you mean {close}? " if close else ""
    what = f"the tag {given} is not published"
    raise NotPublishedError(what, where=wanted, todo=f"{meant}{_newest(known)}")


def _newest(tags: Sequence[str]) -> str:
    return f"some are {', '.join(tags[:_SHOWN])}" if tags else "it has none"


def _versions(
    tags: Iterable[str], names: Collection[str], *, named: bool
) -> tuple[list[Version], list[RefusedError]]:
    """The versions of tags, and why others have none."""
    found, refused = [], []
    for tag in tags:
        try:
            if is_plain(tag):
                found.append(version_of(tag, names, named=named))
        except RefusedError as error:
            refused.append(error)
    return found, refused


def _nothing(
    published: Published, wanted: Wanted, refused: Sequence[RefusedError], *, early: bool
) -> RefusedError | NotPublishedError:
    if early:
        what = "only pre-releases are published"
        return NotPublishedError(what, where=wanted, todo="use --prerelease")
    if refused:
        what = refused[0].what
        return RefusedError(what, where=wanted, todo=f"name a tag: {wanted}@TAG")
    if published.releases or published.tags:
        return NotPublishedError("no tag matches", where=wanted, todo=_newest(published.tags))
    what = "it has neither releases nor tags"
    return NotPublishedError(what, where=wanted, todo="ask upstream for a release")


def _rank(name: str, version: Version, names: Collection[str]) -> int:
    """How well an asset's name is that of the sources: 0 if it is not, else the less the better."""
    suffix = next((each for each in _SUFFIXES if name.lower().endswith(each)), None)
    if suffix is None or not is_plain(name):
        return 0
    stem = name[: -len(suffix)]
    known = "|".join(re.escape(each) for each in names)
    number = "|".join(re.escape(each) for each in (version.text, version.pv, version.tag))
    form = rf"(?:{known})(?:[-_.]?v?(?:{number}))?(?:[-_.](?:orig|sources?|src|dist|full))?"
    if not re.fullmatch(form, stem, re.IGNORECASE):
        return 0
    return 1 + _SUFFIXES.index(suffix)


def _distfile(name: str, version: Version, pn: str) -> str:
    """An asset's name among distfiles of all packages: with a version in it."""
    if version.text in name or version.pv in name:
        return name
    suffix = next(each for each in _SUFFIXES if name.lower().endswith(each))
    return f"{pn}-{version.pv}{suffix}"
