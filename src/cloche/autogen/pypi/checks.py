"""How a project is tested: the runner, plugins of pytest, and what else its tests need."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from cloche.autogen.pypi.archive import Sdist
from cloche.autogen.pypi.markers import Scope, conditions
from cloche.autogen.pypi.project import Metadata, requirement
from cloche.autogen.pypi.pytest_options import plugins_of_options

TEST_EXTRAS = ("test", "tests", "testing", "pytest")
_EXTRA = re.compile(r"""extra\s*==\s*["'][^"']*["']""")
_NAME = re.compile(r"[A-Za-z0-9](?:[\w.-]*[A-Za-z0-9])?", re.ASCII)
_PACKAGE = re.compile(r"((?!(?i:tests?|docs?|examples?)/)[A-Za-z]\w*)/__init__\.py")
# Tests beside the package; not those of tools or of vendored projects.
_OUTSIDE = re.compile(r"[^/]*|(?:tests?|testing)/.*", re.I)
_TESTS = re.compile(r"(?:.*/)?(?:test_[^/]*|[^/]*_test)\.py|(?:.*/)?[Tt]ests?/[^/]*\.py")

# Developers' tools, which tests do not need; coverage is left out by Gentoo's policy. Tests that
# build and install projects do need pip, build and the like.
_UNWANTED = frozenset({
    "basedpyright", "black", "codecov", "coverage", "coveralls", "flake8", "isort", "mypy", "nox",
    "pre-commit", "prek", "pylint", "pyrefly", "pyright", "pytest", "pytest-benchmark",
    "pytest-black", "pytest-checkdocs", "pytest-codspeed", "pytest-cov", "pytest-enabler",
    "pytest-flake8", "pytest-mypy", "pytest-perf", "pytest-randomly", "pytest-ruff", "pytest-sugar",
    "pytest-xdist", "ruff", "tox", "twine", "ty",
})  # fmt: skip

# Plugins whose names do not begin with pytest-.
_PLUGINS = frozenset({
    "anyio", "hypothesis", "pyfakefs", "requests-mock", "respx", "syrupy", "time-machine",
    "typeguard",
})  # fmt: skip


OWN_PLUGIN = '"${PN}"'
"""What EPYTEST_PLUGINS says of the package itself."""


@dataclass(frozen=True, slots=True)
class Checks:
    """``runner`` is a word of ``distutils_enable_tests``, empty if the sdist has no tests."""

    runner: str
    plugins: tuple[str, ...] = ()
    requires: tuple[Requirement, ...] = ()


def checks(
    sdist: Sdist, pyproject: Mapping[str, Any], metadata: Metadata, scope: Scope, where: str
) -> Checks:
    """How to test a project. Raises `RefusedError` for a malformed requirement."""
    if not any(_TESTS.fullmatch(name) for name in sdist.names):
        return Checks("")
    listed = [*_of_extras(metadata, scope, where), *_of_groups(pyproject, where)]
    listed += [Requirement(name) for name in _of_poetry(pyproject)]
    listed += _of_own_extras(listed, metadata, scope, where)
    wanted = {canonicalize_name(each.name): each for each in reversed(listed)}
    uses_pytest = "pytest" in wanted or _mentions_pytest(sdist)
    own = {canonicalize_name(metadata.name)}
    always = {canonicalize_name(each.name) for each in metadata.requires if each.marker is None}
    options = plugins_of_options(sdist, pyproject)
    needed = options.used | (options.loaded & (_UNWANTED | wanted.keys()))
    for name in needed - own:
        wanted.setdefault(canonicalize_name(name), Requirement(name))
    unwanted = (_UNWANTED - needed) | own
    left = {name: each for name, each in wanted.items() if name not in unwanted}
    plugins: list[str] = sorted(
        n for n in left if n not in options.loaded and (n.startswith("pytest-") or n in _PLUGINS)
    )
    requires = [each for name, each in sorted(left.items()) if name not in plugins]
    requires = [each for each in requires if canonicalize_name(each.name) not in always]
    runner = "pytest" if uses_pytest or plugins else _plain_runner(sdist)
    if _is_plugin(sdist, pyproject, metadata.name):
        plugins.insert(0, OWN_PLUGIN)
    return Checks(runner, tuple(plugins) if runner == "pytest" else (), tuple(requires))


def _is_plugin(sdist: Sdist, pyproject: Mapping[str, Any], project: str) -> bool:
    """Whether the project is a plugin of pytest itself, which its tests need to load."""
    name = canonicalize_name(project)
    if name.startswith("pytest-") or name in _PLUGINS:
        return True
    table = pyproject.get("project")
    points = table.get("entry-points") if isinstance(table, dict) else None
    files = ("setup.py", "setup.cfg")
    listed = sdist.first(r"(?:src/)?[^/]+\.egg-info/entry_points\.txt") or ""
    return (
        (isinstance(points, dict) and "pytest11" in points)
        or "[pytest11]" in listed
        or any("pytest11" in (sdist.text(each) or "") for each in files)
    )


def _of_extras(metadata: Metadata, scope: Scope, where: str) -> Iterable[Requirement]:
    for extra in TEST_EXTRAS:
        if extra in metadata.extras:
            yield from _of_extra(metadata, extra, scope, where)


def _of_extra(metadata: Metadata, extra: str, scope: Scope, where: str) -> Iterable[Requirement]:
    for each in metadata.requires:
        if each.marker is not None and any(
            condition.flag == extra for condition in conditions(each.marker, scope, (extra,), where)
        ):
            yield each


def _of_own_extras(
    listed: Iterable[Requirement], metadata: Metadata, scope: Scope, where: str
) -> list[Requirement]:
    """What the project's own extras require, if its tests name them (``hello[socks]``). The markers
    name the extra of tests instead."""
    own = canonicalize_name(metadata.name)
    waiting = [x for each in listed if canonicalize_name(each.name) == own for x in each.extras]
    seen: set[str] = set()
    found: list[Requirement] = []
    while waiting:
        extra = canonicalize_name(waiting.pop())
        if extra in seen:
            continue
        seen.add(extra)
        for each in _of_extra(metadata, extra, scope, where):
            if canonicalize_name(each.name) == own:
                waiting += each.extras
            else:
                found.append(Requirement(_EXTRA.sub(f'extra == "{TEST_EXTRAS[0]}"', str(each))))
    return found


def _of_groups(pyproject: Mapping[str, Any], where: str) -> Iterable[Requirement]:
    """Dependency groups (PEP 735) of these names, with those that they include."""
    groups = pyproject.get("dependency-groups")
    if not isinstance(groups, dict):
        return
    waiting = [name for name in groups if canonicalize_name(name) in TEST_EXTRAS]
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in seen or not isinstance(groups.get(name), list):
            continue
        seen.add(name)
        for each in groups[name]:
            if isinstance(each, str):
                yield requirement(each, where)
            elif isinstance(each, dict) and isinstance(each.get("include-group"), str):
                waiting.append(each["include-group"])


def _of_poetry(pyproject: Mapping[str, Any]) -> Iterator[str]:
    """The projects in Poetry's own groups for tests. Their versions (``^7.1``) are not PEP 440
    specifiers and are ignored."""
    table: Any = pyproject
    for key in ("tool", "poetry", "group"):
        table = table.get(key) if isinstance(table, dict) else None
    for name, group in table.items() if isinstance(table, dict) else ():
        found = group.get("dependencies") if isinstance(group, dict) else None
        if canonicalize_name(name) in TEST_EXTRAS and isinstance(found, dict):
            yield from (each for each in found if _NAME.fullmatch(each) and each != "python")


def _mentions_pytest(sdist: Sdist) -> bool:
    if "pytest.ini" in sdist.names or any(n.endswith("conftest.py") for n in sdist.names):
        return True
    texts = ("pyproject.toml", "tox.ini", "setup.cfg", "noxfile.py", "setup.py")
    return any("pytest" in (sdist.text(name) or "") for name in texts)


def _plain_runner(sdist: Sdist) -> str:
    """Without a word of pytest: unittest, if it would find any test, which it only does in packages
    from the top on; otherwise pytest, which runs such tests, too."""
    found = [name for name in sdist.names if re.search(r"(?:^|/)test[^/]*\.py$", name)]
    if any(_is_discovered(name, sdist.names) for name in found):
        return "unittest"
    return "pytest" if found else ""


def _is_discovered(name: str, names: frozenset[str]) -> bool:
    parts = name.split("/")[:-1]
    above = ("/".join(parts[:number]) for number in range(1, len(parts) + 1))
    return all(f"{each}/__init__.py" in names for each in above)


def phases(checks: Checks, sdist: Sdist, *, native: bool) -> tuple[str, ...]:
    """``python_test``, where the sources would be imported instead of what was built of them.

    Python looks into the current directory first, and a package there has no extension modules.
    """
    found = sorted({m[1] for name in sdist.names if (m := _PACKAGE.fullmatch(name))})
    if not native or checks.runner != "pytest" or not found:
        return ()
    inside = [
        each
        for each in found
        if any(_TESTS.fullmatch(name) for name in sdist.names if name.startswith(f"{each}/"))
    ]
    outside = any(_TESTS.fullmatch(name) and _OUTSIDE.fullmatch(name) for name in sdist.names)
    run = "epytest" if outside or not inside else f"epytest --pyargs {' '.join(inside)}"
    return ("", "python_test() {", f"\trm -rf {' '.join(found)} || die", f"\t{run}", "}")
