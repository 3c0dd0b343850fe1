"""The package that a Python project becomes: everything is known by now, and only decided on."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from cloche.autogen.dependencies import Atom, Dependency, WithUse
from cloche.autogen.errors import RefusedError
from cloche.autogen.licences import licence
from cloche.autogen.package import Ebuild, Maintainer, Package, Source
from cloche.autogen.pypi import licences
from cloche.autogen.pypi.archive import Sdist
from cloche.autogen.pypi.backends import STANDALONE, backend, is_brought
from cloche.autogen.pypi.checks import OWN_PLUGIN, TEST_EXTRAS, Checks, checks, phases
from cloche.autogen.pypi.markers import Scope
from cloche.autogen.pypi.names import SdistNames, sdist_names
from cloche.autogen.pypi.needs import Naming, merged, needs, needs_with, wanted_extras
from cloche.autogen.pypi.project import (
    BuildSystem,
    Metadata,
    build_system,
    has_extensions,
    needs_cffi,
    needs_cython,
)
from cloche.autogen.pypi.pythons import compat, pythons
from cloche.autogen.pypi.release import Release
from cloche.autogen.text import IUSE_TEST, quoted
from cloche.autogen.trees import Trees

_ADDRESS = re.compile(r"https?://[^\s\"'<>$`\\|]+")
_FORGE = re.compile(r"https?://(github|gitlab)\.com/([\w.-]+/[\w.-]+?)(?:\.git)?(?:[/#?].*)?")
_REPOSITORY = re.compile(r"https?://(?:github|gitlab)\.com/[\w.-]+/[\w.-]+/?")
_HOME = ("homepage", "home", "home page", "website")
_CODE = ("source", "source code", "repository", "code", "github", "gitlab", "sources")


@dataclass(frozen=True, slots=True)
class Policy:
    """What the user decides: category, KEYWORDS, maintainers; LICENSE where upstream has none."""

    category: str = "dev-python"
    keywords: tuple[str, ...] = ("~amd64",)
    maintainers: tuple[Maintainer, ...] = ()
    license: str | None = None


@dataclass(frozen=True, slots=True)
class Published:
    """A release with all that was read of it; ``page`` is its page for people."""

    release: Release
    metadata: Metadata
    sdist: Sdist
    pyproject: dict[str, Any]
    source: Source
    page: str


def package(
    published: Published,
    cp: str,
    policy: Policy,
    trees: Trees,
    known: Sequence[str],
    naming: Naming,
    of_tests: Naming,
) -> Package:
    """The package ``cp`` of a release, for the targets that are known. Raises `RefusedError`.

    ``of_tests`` finds packages as ``naming`` does, those that only its tests need.
    """
    category, _, pn = cp.partition("/")
    release, metadata, sdist = published.release, published.metadata, published.sdist
    where = release.project
    if canonicalize_name(metadata.name) != canonicalize_name(where):
        what = f"the release calls itself “{metadata.name}”"
        raise RefusedError(what, where=where, todo="do not trust its source")
    build = build_system(sdist, published.pyproject, where)
    targets = pythons(metadata.requires_python, known, where)
    scope = Scope(targets.targets, tuple(word.lstrip("~-") for word in policy.keywords))
    extras = wanted_extras(metadata.extras)
    names = sdist_names(where, pn, release.pv, release.sdist.name, sdist.top)
    tests = checks(sdist, published.pyproject, metadata, scope, where)
    # The eclass makes dependencies of these.
    for project in backend(build).brought[: backend(build).needed]:
        naming.package(Requirement(project))
    plugins = [each for each in tests.plugins if each != OWN_PLUGIN]
    for project in (*plugins, *(["pytest"] if tests.runner == "pytest" else [])):
        of_tests.package(Requirement(project))
    native = has_extensions(sdist, build, (wheel.is_pure for wheel in release.wheels))
    bdepend = _bdepend(build, metadata, sdist, names, scope, naming, cp)
    named, said = _licence(published, policy, trees)
    wanted = needs_with(tests.requires, TEST_EXTRAS, scope, of_tests, where)
    if wanted:
        bdepend = (*bdepend, WithUse("test", wanted))
    ebuild = Ebuild(
        category,
        pn,
        release.pv,
        before=tuple(_before(build, names, native, compat(targets.targets))),
        inherit=("distutils-r1", "pypi"),
        description=metadata.summary,
        homepage=_homepage(metadata, published.page),
        license=named,
        keywords=policy.keywords,
        sources=tuple(_sources(names)),
        iuse=extras,
        rdepend=(
            *targets.interpreters,
            *needs(metadata.requires, scope, extras, naming, where),
        ),
        bdepend=bdepend,
        after=(*_after(tests, bdepend), *phases(tests, sdist, native=native)),
    )
    flags = tuple((extra, f"Install what its extra “{extra}” needs") for extra in extras)
    notes = [f"{ebuild.cpv}: {each}" for each in said]
    if not tests.runner:
        notes.append(f"{ebuild.cpv}: its source archive has no tests")
    return Package(
        ebuild, (published.source,), _remote_ids(metadata), flags, policy.maintainers, tuple(notes)
    )


def _before(build: BuildSystem, names: SdistNames, native: bool, targets: str) -> Iterator[str]:
    if native:
        yield "DISTUTILS_EXT=1"
    yield f"DISTUTILS_USE_PEP517={backend(build).key}"
    if names.no_normalize:
        yield "PYPI_NO_NORMALIZE=1"
    if names.pypi_pn is not None:
        yield f'PYPI_PN="{names.pypi_pn}"'
    yield f"PYTHON_COMPAT=( {targets} )"


def _sources(names: SdistNames) -> Iterator[str]:
    if names.uri is not None:
        yield f"SRC_URI={names.uri}"
    if names.directory is not None:
        yield f"S={quoted('@/' + names.directory).replace('@', '${WORKDIR}', 1)}"


def _bdepend(
    build: BuildSystem,
    metadata: Metadata,
    sdist: Sdist,
    names: SdistNames,
    scope: Scope,
    naming: Naming,
    cp: str,
) -> tuple[Dependency, ...]:
    """What the build needs beside what the eclass brings."""
    where = canonicalize_name(metadata.name)
    wanted = [each for each in build.requires if not is_brought(build, each.name)]
    if backend(build) is STANDALONE:
        wanted = list(build.requires)
    if build.in_tree:  # it is its own backend, which runs with what it needs at run time
        wanted += [each for each in metadata.requires if each not in wanted]
    for tool, needed in (("cython", needs_cython(sdist)), ("cffi", needs_cffi(sdist))):
        if needed and not any(canonicalize_name(each.name) == tool for each in wanted):
            wanted.append(Requirement(tool))
    found = list(needs(wanted, scope, (), naming, where))
    # A build that is its own backend needs itself only where it is not there yet.
    found = [each for each in found if not (isinstance(each, Atom) and each.cp == cp)]
    if names.zipped:
        found.append(Atom("app-arch/unzip"))
    return merged(found)


def _after(tests: Checks, bdepend: Sequence[Dependency]) -> Iterator[str]:
    if tests.runner == "pytest":
        yield (
            f"EPYTEST_PLUGINS=( {' '.join(tests.plugins)} )"
            if tests.plugins
            else ("EPYTEST_PLUGINS=()")
        )
    elif any(isinstance(each, WithUse) and each.flag == "test" for each in bdepend):
        yield from IUSE_TEST
    if tests.runner:
        yield f"distutils_enable_tests {tests.runner}"


def _licence(published: Published, policy: Policy, trees: Trees) -> tuple[str, tuple[str, ...]]:
    """LICENSE as upstream names it, else the user's; and notes. Raises `RefusedError`."""
    metadata, where = published.metadata, published.release.project
    text = published.sdist.first(r"(?:LICEN[CS]E|COPYING)[^/]*") or ""
    given, classifiers = metadata.license_expression, metadata.classifiers
    try:
        spdx = licences.expression(given, classifiers, metadata.license, text, where)
        several = () if given else licences.unclear(spdx, classifiers, text)
        found = licence(spdx, trees.licences, where)
    except RefusedError:
        if policy.license is None:
            raise
        return policy.license, ()
    if policy.license is not None and several:
        return policy.license, ()
    if policy.license not in (None, found):
        return found, (f"--license is not used: upstream names {found}",)
    return found, several


def _homepage(metadata: Metadata, page: str) -> tuple[str, ...]:
    """The project's own page and its source code, else its page in the index."""
    usable = [(label.lower(), url) for label, url in metadata.urls if _ADDRESS.fullmatch(url)]
    home = next((url for label, url in usable if label in _HOME), None)
    code = next((url for label, url in usable if label in _CODE), None)
    code = code or next((url for _, url in usable if _REPOSITORY.fullmatch(url)), None)
    others = [url for _, url in usable[:1]]
    chosen = [url for url in (home, code) if url is not None] or others or [page]
    # A word that ends with “?” would be a condition (PMS 8.2).
    return tuple(dict.fromkeys(url.rstrip("/?") for url in chosen))


def _remote_ids(metadata: Metadata) -> tuple[tuple[str, str], ...]:
    found = {("pypi", metadata.name)}
    labels = (*_HOME, *_CODE)
    for label, url in metadata.urls:
        if (match := _FORGE.fullmatch(url)) and label.lower() in labels:
            found.add((match[1], match[2]))
    return tuple(sorted(found))
