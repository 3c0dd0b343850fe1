"""Requirements of a Python project as dependencies of its ebuild."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from cloche.autogen.dependencies import Dependency, ForPythons, WithUse, atoms
from cloche.autogen.pypi.markers import Condition, Scope, conditions, under
from cloche.autogen.pypi.specifiers import dependencies

USEDEP = "${PYTHON_USEDEP}"

UNWANTED_EXTRAS = frozenset({
    "bench", "benchmark", "benchmarks", "build", "check", "checks", "ci", "cov", "cover",
    "coverage", "dev", "devel", "develop", "developer", "development", "doc", "docs",
    "documentation", "enabler", "lint", "linter", "linting", "mypy", "nox", "pre-commit",
    "publish", "pytest", "qa", "quality", "release", "style", "test", "testing", "tests", "tox",
    "type", "typecheck", "types", "typing",
})  # fmt: skip
"""Extras for who works on a project; they become no USE flags."""


@dataclass(frozen=True, slots=True)
class Named:
    """A project as a package: its published versions, its USE flags (None: one for each extra).

    ``targets``: whether it is built for Python targets, so that ``${PYTHON_USEDEP}`` can be met.
    """

    cp: str
    versions: tuple[Version, ...] = ()
    flags: frozenset[str] | None = None
    targets: bool = True


@dataclass(frozen=True, slots=True)
class Naming:
    """How to find packages, and what an extra of a project requires where no flag stands for it.

    ``optional`` finds those that only count with a USE flag, which it hears.
    """

    package: Callable[[Requirement], Named]
    required: Callable[[str, str], tuple[Requirement, ...]]
    optional: Callable[[Requirement, str], Named]

    def under(self, flag: str) -> Naming:
        """How to find packages that count with a flag, or always where it is empty."""
        return replace(self, package=lambda each: self.optional(each, flag)) if flag else self


def wanted_extras(extras: Iterable[str]) -> tuple[str, ...]:
    """The extras that become USE flags."""
    return tuple(sorted(extra for extra in set(extras) if is_wanted(extra)))


def is_wanted(extra: str) -> bool:
    """Whether an extra is for users: neither ``test`` nor ``test-full`` is."""
    return UNWANTED_EXTRAS.isdisjoint((extra, extra.partition("-")[0]))


def needs(
    requirements: Iterable[Requirement],
    scope: Scope,
    extras: Collection[str],
    naming: Naming,
    where: str,
) -> tuple[Dependency, ...]:
    """What the requirements are as dependencies, with a USE flag for each extra.

    Raises `RefusedError`.
    """
    found: list[Dependency] = []
    for each in requirements:
        for condition in conditions(each.marker, scope, extras, where):
            inner = _inner(each, scope, naming.under(condition.flag), where, ())
            found += under(condition, inner, scope)
    return merged(found)


def needs_with(
    requirements: Iterable[Requirement],
    extras: Collection[str],
    scope: Scope,
    naming: Naming,
    where: str,
) -> tuple[Dependency, ...]:
    """What is required with any of these extras, without flags for them. Raises `RefusedError`."""
    found: list[Dependency] = []
    for each in requirements:
        for condition in conditions(each.marker, scope, extras, where):
            found += under(
                replace(condition, flag=""), _inner(each, scope, naming, where, ()), scope
            )
    return merged(found)


def _of_extra(
    requirements: Iterable[Requirement],
    extra: str,
    scope: Scope,
    naming: Naming,
    where: str,
    seen: tuple[tuple[str, str], ...],
) -> Iterator[Dependency]:
    for each in requirements:
        for condition in conditions(each.marker, scope, (extra,), where):
            if condition.flag == extra:
                plain = Condition("", condition.arch, condition.targets, condition.patches)
                yield from under(plain, _inner(each, scope, naming, where, seen), scope)


def _inner(
    wanted: Requirement,
    scope: Scope,
    naming: Naming,
    where: str,
    seen: tuple[tuple[str, str], ...],
) -> tuple[Dependency, ...]:
    """The package that is required; its extras as flags, or else what they require."""
    project = canonicalize_name(wanted.name)
    own = project == canonicalize_name(where)
    named = naming.package(wanted)
    extras = sorted(map(canonicalize_name, wanted.extras))
    flags = [
        extra
        for extra in extras
        if not own and is_wanted(extra) and (named.flags is None or extra in named.flags)
    ]
    found: list[Dependency] = []
    if not own:
        use = (*flags, USEDEP) if named.targets else tuple(flags)
        found += dependencies(named.cp, wanted.specifier, named.versions, use, where)
    for extra in extras:
        if extra not in flags and (project, extra) not in seen:
            listed = naming.required(project, extra)
            deeper = (*seen, (project, extra))
            found += _of_extra(listed, extra, scope, naming, where, deeper)
    return tuple(found)


def merged(wanted: Sequence[Dependency]) -> tuple[Dependency, ...]:
    """The same dependencies, sorted, each once, those under one condition together."""
    plain: list[Dependency] = []
    targets: dict[tuple[str, ...], list[Dependency]] = {}
    flags: dict[str, list[Dependency]] = {}
    for each in wanted:
        match each:
            case ForPythons(names, inner):
                targets.setdefault(names, []).extend(inner)
            case WithUse(flag, inner):
                flags.setdefault(flag, []).extend(inner)
            case _ if each not in plain:
                plain.append(each)
    plain.sort(key=_order)
    of_targets = [
        ForPythons(names, merged([each for each in inner if each not in plain]))
        for names, inner in sorted(targets.items())
    ]
    of_flags = [
        WithUse(flag, merged([each for each in inner if each not in plain]))
        for flag, inner in sorted(flags.items())
    ]
    return (*plain, *(e for e in of_targets if e.inner), *(e for e in of_flags if e.inner))


def _order(wanted: Dependency) -> tuple[str, bool]:
    """By the package's name, blockers after what is wanted."""
    first = next(atoms([wanted]))
    return first.cp, first.blocks


def packages(wanted: Iterable[Dependency]) -> tuple[str, ...]:
    """The packages that are named, without blockers."""
    return tuple(sorted({atom.cp for atom in atoms(wanted) if not atom.blocks}))
