"""The package that a release becomes: everything is known by now, and only decided on."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from cloche.autogen.dependencies import Atom, Dependency
from cloche.autogen.errors import RefusedError
from cloche.autogen.github.answers import Project, is_plain
from cloche.autogen.github.choice import Archive
from cloche.autogen.github.mapping import Names
from cloche.autogen.github.recipe import Recipe, dependencies, flags
from cloche.autogen.github.versions import Version, spelled
from cloche.autogen.licences import licence
from cloche.autogen.package import Ebuild, Maintainer, Package, Source
from cloche.autogen.pypi import licences
from cloche.autogen.pypi.archive import Sdist
from cloche.autogen.text import quoted
from cloche.autogen.trees import Trees

_HOST = "github.com"
# Names of licences that do not say whether later versions are meant.
_UNCLEAR = re.compile(r"(?:A|L)?GPL-\d\.\d")


@dataclass(frozen=True, slots=True)
class Policy:
    """What the user decides, and the names of the package."""

    category: str
    pn: str
    keywords: tuple[str, ...] = ("~amd64",)
    maintainers: tuple[Maintainer, ...] = ()
    license: str | None = None


@dataclass(frozen=True, slots=True)
class Release:
    """A release with all that was read of it."""

    project: Project
    version: Version
    archive: Archive
    source: Source
    sdist: Sdist
    recipe: Recipe


def package(release: Release, policy: Policy, names: Names, trees: Trees) -> Package:
    """The package of a release. Raises `RefusedError`."""
    project, recipe = release.project, release.recipe
    found = dependencies(recipe.needs, names)
    iuse, described = flags(recipe.options)
    named, notes = _licence(release, policy, trees)
    value, reference = spelled(release.version)
    sources = tuple(_sources(release, policy.pn, reference))
    mine = any("${MY_PV}" in line for line in sources)
    uses = any(n.kind == "pkg-config" and names.find(n.kind, n.name) != () for n in recipe.needs)
    asked = (Atom("virtual/pkgconfig"),) if recipe.pkgconfig and uses else ()
    ebuild = Ebuild(
        policy.category,
        policy.pn,
        release.version.pv,
        before=recipe.before,
        inherit=recipe.inherit,
        description=project.description,
        homepage=tuple(dict.fromkeys(filter(None, (project.homepage, project.page)))),
        license=named,
        keywords=policy.keywords,
        sources=(*([f'MY_PV="{value}"'] if mine else []), *sources),
        iuse=iuse,
        restrict="!test? ( test )" if "test" in iuse else "",
        rdepend=found.libraries,
        depend=found.libraries,
        bdepend=tuple(sorted((*found.programs, *asked), key=_place)),
        after=recipe.after,
    )
    on_github = urlsplit(project.page).hostname == _HOST
    return Package(
        ebuild,
        (release.source,),
        (("github", project.full_name),) if on_github else (),
        described,
        policy.maintainers,
        (*notes, *_notes(release), *recipe.notes, *found.notes),
    )


def _place(wanted: Dependency) -> tuple[bool, str]:
    """The order of dependencies: what is always needed comes first."""
    return not isinstance(wanted, Atom), wanted.cp if isinstance(wanted, Atom) else ""


def _licence(release: Release, policy: Policy, trees: Trees) -> tuple[str, tuple[str, ...]]:
    """LICENSE by the build files, by what GitHub has recognised, or by the licence's text, else as
    the user says."""
    try:
        found, notes = _stated(release, trees)
    except RefusedError:
        if policy.license is None:
            raise
        return policy.license, ()
    if policy.license is not None and notes:
        return policy.license, ()
    if policy.license not in (None, found):
        return found, (f"--license is not used: upstream names {found}",)
    return found, notes


def _stated(release: Release, trees: Trees) -> tuple[str, tuple[str, ...]]:
    where = release.project.full_name
    listed = [each for each in (release.recipe.license, release.project.spdx) if each is not None]
    if not listed:
        text = release.sdist.first(r"(?:LICEN[CS]E|COPYING)[^/]*") or ""
        spdx = licences.expression(None, (), None, text, where)
        return licence(spdx, trees.licences, where), licences.unclear(spdx, (), text)
    for number, spdx in enumerate(listed):
        clear = not _UNCLEAR.fullmatch(spdx)
        note = f"LICENSE: whether later versions than {spdx} may be used is not stated"
        try:
            found = licence(spdx if clear else f"{spdx}-only", trees.licences, where)
        except RefusedError:
            if number + 1 == len(listed):
                raise
        else:
            return found, () if clear else (note,)
    raise AssertionError  # the last one returns or raises


def _sources(release: Release, pn: str, reference: str) -> Iterator[str]:
    """SRC_URI and S, with the version as a variable."""
    archive, version = release.archive, release.version

    def varied(text: str) -> str:
        plain = quoted(text)[1:-1]
        if re.search(r"\d", version.text):
            plain = re.sub(
                rf"(?<![\d.]){re.escape(version.text)}(?![\d])", lambda _: reference, plain
            )
        return plain.replace(f"{pn}-${{PV}}", "${P}")

    name = archive.name.replace(f"{pn}-{version.pv}", "${P}", 1)
    base = archive.uri.rpartition("/")[2]
    rename = "" if base == archive.name else f" -> {name}"
    # Only the end: an owner or a project may have the same digits in its name.
    head, *tail = archive.uri.rsplit("/", 2)
    yield f'SRC_URI="{quoted(head)[1:-1]}/{varied("/".join(tail))}{rename}"'
    if not is_plain(release.sdist.top):
        what = f"the directory “{release.sdist.top}” in its archive cannot be named in an ebuild"
        raise RefusedError(what, where=release.project.full_name, todo="tell upstream")
    if release.sdist.top != f"{pn}-{version.pv}":
        yield f'S="${{WORKDIR}}/{varied(release.sdist.top)}"'


def _notes(release: Release) -> Iterator[str]:
    project = release.project
    if project.archived:
        yield f"{project.full_name} is archived: no more releases are made"
    modules = release.sdist.text(".gitmodules")
    if modules and release.archive.asset is None:
        paths: Sequence[str] = re.findall(r"^[ \t]*path[ \t]*=[ \t]*(\S+)", modules, re.MULTILINE)
        yield f"the archive that GitHub generates lacks git submodules: {', '.join(paths)}"
