"""Environment markers (PEP 508) as USE flags and targets.

A marker is tried in every environment that a Gentoo system of the ebuild's targets and keywords
can have: there are few. So a tree of and/or keeps its meaning whatever its form.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from packaging.markers import Marker, UndefinedComparison, UndefinedEnvironmentName
from packaging.utils import canonicalize_name

from cloche.autogen.dependencies import (
    AllOf,
    AnyOf,
    Atom,
    Dependency,
    ForPythons,
    WithUse,
    atoms,
)
from cloche.autogen.errors import RefusedError
from cloche.autogen.pypi.pythons import PATCHES, minor

MACHINES: Mapping[str, str] = {
    "amd64": "x86_64", "arm64": "aarch64", "x86": "i686", "arm": "armv7l", "ppc64": "ppc64le",
    "riscv": "riscv64", "loong": "loongarch64", "s390": "s390x", "sparc": "sparc64",
    "alpha": "alpha", "hppa": "parisc64", "mips": "mips64", "ppc": "ppc", "m68k": "m68k",
}  # fmt: skip
"""ARCH and what uname(1) calls its machine."""

_OF_PATCHES = ("python_full_version", "implementation_version")
_OF_KERNELS = ("platform_release", "platform_version")


@dataclass(frozen=True, slots=True)
class Condition:
    """When something is needed: with a USE flag, on an ARCH (empty: always), for these targets.

    ``patches``: only where the interpreter is older ("<") or not older (">=") than a patch level.
    """

    flag: str
    arch: str
    targets: tuple[str, ...]
    patches: tuple[str, int] | None = None


@dataclass(frozen=True, slots=True)
class Scope:
    """What environments there can be: the ebuild's targets, the ARCHes of its keywords."""

    targets: tuple[str, ...]
    arches: tuple[str, ...]


def conditions(
    marker: Marker | None, scope: Scope, extras: Collection[str], where: str
) -> tuple[Condition, ...]:
    """When a requirement counts; none if it never does on Gentoo. Raises `RefusedError`."""
    if marker is None:
        return (Condition("", "", scope.targets),)
    text = str(marker)
    found: list[Condition] = []
    plain: dict[tuple[str, str], tuple[int, ...]] = {}
    arches = scope.arches if "platform_machine" in text else ("",)
    named = {extra for extra in extras if extra in _extras_of(text)}
    for extra in ("", *sorted(named)):
        grouped: dict[tuple[str, tuple[str, int] | None], list[str]] = defaultdict(list)
        for arch in arches:
            for target in scope.targets:
                true = _true_patches(marker, target, arch, extra, where)
                if not extra:
                    plain[arch, target] = true
                elif true == plain[arch, target]:  # needed without the flag, or not at all
                    continue
                if true:
                    grouped[arch, _patches(true, text, where)].append(target)
        found += _joined(extra, grouped, arches)
    return tuple(found)


@cache
def _extras_of(text: str) -> frozenset[str]:
    """Extras that a marker may name: for others it is as without any (PEP 685)."""
    if "extra" not in text:
        return frozenset()
    words = (word for part in re.findall(r'"([^"]*)"', text) for word in re.split(r"[\s,]+", part))
    return frozenset(map(canonicalize_name, words))


def _joined(
    flag: str,
    grouped: Mapping[tuple[str, tuple[str, int] | None], Sequence[str]],
    arches: Sequence[str],
) -> Iterator[Condition]:
    """Conditions of one flag; what is the same on all ARCHes needs none."""
    for (arch, patches), targets in grouped.items():
        everywhere = all(grouped.get((each, patches)) == targets for each in arches)
        if not everywhere or arch == arches[0]:
            yield Condition(flag, "" if everywhere else arch, tuple(targets), patches)


def _true_patches(
    marker: Marker, target: str, arch: str, extra: str, where: str
) -> tuple[int, ...]:
    """The patch levels of an interpreter with which a marker is true. Raises `RefusedError`."""
    text = str(marker)
    levels = range(PATCHES if any(name in text for name in _OF_PATCHES) else 1)
    kernels = ("0", "99.9") if any(name in text for name in _OF_KERNELS) else ("0",)
    said = {
        kernel: tuple(n for n in levels if _true(text, target, n, arch, extra, kernel, where))
        for kernel in kernels
    }
    if len(set(said.values())) > 1:
        what = f"the marker “{text}” asks for the running kernel"
        raise RefusedError(what, where=where, todo="write this ebuild by hand")
    return tuple(range(PATCHES)) if len(levels) == 1 and said["0"] else said["0"]


@cache
def _parsed(text: str) -> Marker:
    return Marker(text)


@cache
def _true(
    text: str, target: str, patch: int, arch: str, extra: str, kernel: str, where: str
) -> bool:
    full = f"{minor(target)}.{patch}"
    environment = {
        "implementation_name": "cpython",
        "implementation_version": full,
        "os_name": "posix",
        "platform_machine": MACHINES.get(arch, arch) or "x86_64",
        "platform_python_implementation": "CPython",
        "platform_release": kernel,
        "platform_system": "Linux",
        "platform_version": kernel,
        "python_full_version": full,
        "python_version": minor(target),
        "sys_platform": "linux",
        "extra": extra,
    }
    try:
        return _parsed(text).evaluate(environment)
    except (UndefinedComparison, UndefinedEnvironmentName) as error:
        what = f"the marker “{text}” cannot be evaluated"
        raise RefusedError(what, where=where, todo="tell upstream") from error


def _patches(true: Sequence[int], text: str, where: str) -> tuple[str, int] | None:
    """The bound of patch levels; None if all count. Raises `RefusedError`."""
    if len(true) == PATCHES:
        return None
    if true == tuple(range(len(true))):
        return ("<", len(true))
    if true == tuple(range(PATCHES - len(true), PATCHES)):
        return (">=", PATCHES - len(true))
    what = f"the marker “{text}” picks single patch levels of Python"
    raise RefusedError(what, where=where, todo="write this ebuild by hand")


def under(
    condition: Condition, wanted: Sequence[Dependency], scope: Scope
) -> tuple[Dependency, ...]:
    """What is wanted, under its conditions. Raises `RefusedError`: no choice may have blockers."""
    inner = tuple(wanted)
    if condition.patches is not None:
        if any(atom.blocks for atom in atoms(inner)):
            name = next(atoms(inner)).cp
            what = f"versions of {name} are left out for some patch levels of Python only"
            raise RefusedError(what, todo="write this ebuild by hand")
        return tuple(
            _flagged(condition, ForPythons((target,), (_unless(condition.patches, target, inner),)))
            for target in condition.targets
        )
    if condition.targets != scope.targets:
        return (_flagged(condition, ForPythons(condition.targets, inner)),)
    if condition.flag or condition.arch:
        return (_flagged(condition, *inner),)
    return inner


def _flagged(condition: Condition, *inner: Dependency) -> Dependency:
    found = inner
    for flag in filter(None, (condition.arch, condition.flag)):
        found = (WithUse(flag, found),)
    return found[0]


def _unless(patches: tuple[str, int], target: str, inner: Sequence[Dependency]) -> Dependency:
    """Either an interpreter to which the marker does not apply, or what is wanted."""
    operator, level = patches
    version = f"{minor(target)}.{level}"
    other = Atom("dev-lang/python", ">=" if operator == "<" else "<", version, minor(target))
    return AnyOf((other, *inner)) if len(inner) == 1 else AnyOf((other, AllOf(tuple(inner))))
