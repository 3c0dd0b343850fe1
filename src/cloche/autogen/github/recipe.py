"""What a build system says of an ebuild, and what of it becomes a dependency."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cloche.autogen.dependencies import Atom, Dependency, WithUse
from cloche.autogen.github.mapping import Names, limited, of_build

_FLAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9+_@-]*")
_PREFIX = re.compile(r"^(?:enable|with|build|use|want|install)[-_]", re.IGNORECASE)
# What Gentoo calls options that everybody calls otherwise.
_USUAL = {
    "tests": "test", "testing": "test", "unit-tests": "test", "unittests": "test",
    "docs": "doc", "documentation": "doc", "doxygen": "doc", "api-docs": "doc",
    "manpages": "man", "man-pages": "man", "manpage": "man", "example": "examples",
    "gobject-introspection": "introspection", "gir": "introspection", "vapi": "vala",
    "gtk-doc": "gtk-doc",
}  # fmt: skip
# Options of who works on a project, and of other systems, which no user of a package has; Gentoo
# installs completions of shells always.
_UNWANTED = re.compile(
    r"(?:.*[-_])?(?:werror|coverage|fuzz(?:ing|er|ers)?|asan|ubsan|tsan|sanitizers?|lto|ccache"
    r"|clang[-_]tidy|developer|devel(?:opment)?[-_]mode|static|shared[-_]libs|shared|benchmarks?"
    r"|warnings?[-_]as[-_]errors|pch|unity[-_]build|(?:build[-_])?deb|rpm|package|install|installed[-_]tests)"
    r"|(?:.*[-_])?(?:bash|fish|zsh|shell)?[-_]?completions?"
    r"|(?:.*[-_])?(?:apple|macos|osx|darwin|android|haiku|win(?:dows|\d+)?)(?:[-_].*)?",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Option:
    """A switch of a build system: ``flag`` is its USE flag, ``on`` its default."""

    name: str
    flag: str
    what: str
    on: bool = False
    feature: bool = False


@dataclass(frozen=True, slots=True)
class Need:
    """Something that a build file looks for.

    ``kind`` is a table of the mapping. ``flag``: only with that USE flag (``!flag``: without it).
    """

    kind: str
    name: str
    versions: tuple[str, ...] = ()
    flag: str | None = None
    native: bool = False


@dataclass(frozen=True, slots=True)
class Recipe:
    """What an ebuild of a build system has of its own; ``crates``: besides those of Cargo.lock."""

    inherit: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    options: tuple[Option, ...] = ()
    needs: tuple[Need, ...] = ()
    after: tuple[str, ...] = ()
    pkgconfig: bool = False
    license: str | None = None
    notes: tuple[str, ...] = ()
    crates: bool = False


Condition = str | bool | None
"""When a part of a build file counts: with a USE flag (``!flag``: without it), always or never on
Linux; None if that cannot be read, and then it counts."""


def opposite(condition: Condition) -> Condition:
    """When the other part counts."""
    if condition is None or isinstance(condition, bool):
        return None if condition is None else not condition
    return condition[1:] if condition.startswith("!") else f"!{condition}"


def both(one: Condition, other: Condition) -> Condition:
    """When both are so, as far as one flag can say it."""
    if one is False or other is False:
        return False
    return other if isinstance(other, str) or not isinstance(one, str) else one


def flag_of(name: str, *, prefix: str = "") -> str | None:
    """The USE flag of an option; None for one that no user wants."""
    plain = re.sub(rf"^{re.escape(prefix)}[-_]", "", name, flags=re.I) if prefix else name
    if _UNWANTED.fullmatch(_PREFIX.sub("", plain)) or _UNWANTED.fullmatch(plain):
        return None
    flag = _PREFIX.sub("", plain).lower().replace("_", "-").replace(".", "-")
    flag = _USUAL.get(flag, flag)
    return flag if _FLAG.fullmatch(flag) else None


@dataclass(frozen=True, slots=True)
class Found:
    """Dependencies, and what is not one."""

    libraries: tuple[Dependency, ...]
    programs: tuple[Dependency, ...]
    notes: tuple[str, ...]


def dependencies(needs: Iterable[Need], names: Names) -> Found:
    """What needs become; each package is named once for a flag."""
    sorted_out: dict[bool, dict[str | None, dict[Atom, None]]] = {False: {}, True: {}}
    unknown: dict[str, None] = {}
    loose: dict[str, None] = {}
    for need in needs:
        atoms = names.find(need.kind, need.name)
        if atoms is None:
            unknown[need.name] = None
        for atom in atoms or ():
            wanted = limited(atom, need.versions)
            if wanted is None:
                loose[f"{need.name} {', '.join(need.versions)}"] = None
            native = need.native or need.kind == "program"
            group = sorted_out[native].setdefault(need.flag, {})
            group |= {of_build(each) if native else each: None for each in wanted or (atom,)}
    notes = []
    if unknown:
        listed = ", ".join(unknown)
        notes.append(f"no package is known for {listed}: add it to your own lines, or use --names")
    if loose:
        notes.append(f"versions that have no exact form are left out: {', '.join(loose)}")
    return Found(_grouped(sorted_out[False]), _grouped(sorted_out[True]), tuple(notes))


def _grouped(groups: dict[str | None, dict[Atom, None]]) -> tuple[Dependency, ...]:
    always = groups.get(None, {})
    found: list[Dependency] = [*_merged(always)]
    for flag in sorted(flag for flag in groups if flag is not None):
        inner = _merged(atom for atom in groups[flag] if atom not in always)
        if inner:
            found.append(WithUse(flag, inner))
    return tuple(found)


def _merged(atoms: Iterable[Atom]) -> tuple[Atom, ...]:
    """Atoms without those that another one of the same package and slot includes."""
    listed = list(atoms)
    limited_ones = {(a.cp, a.slot) for a in listed if a.operator and not a.blocks}
    plain_use: dict[tuple[str, str], tuple[str, ...]] = {}
    for atom in listed:
        if not atom.blocks:
            key = (atom.cp, atom.slot)
            plain_use[key] = tuple(sorted({*plain_use.get(key, ()), *atom.use}))
    found: dict[Atom, None] = {}
    for atom in listed:
        key = (atom.cp, atom.slot)
        if not atom.operator and key in limited_ones:
            continue
        use = () if atom.blocks else plain_use[key]
        found[Atom(atom.cp, atom.operator, atom.version, atom.slot, use, atom.blocks)] = None
    return tuple(sorted(found, key=lambda a: (a.cp, a.slot, a.blocks, a.operator)))


def flags(options: Sequence[Option]) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    """IUSE, and the flags with what they do."""
    on = {each.flag: each.on for each in reversed(options)}
    iuse = tuple(f"+{flag}" if on[flag] and flag != "test" else flag for flag in sorted(on))
    what = {each.flag: each.what for each in reversed(options)}
    return iuse, tuple((f, what[f] or f"Enable {f}") for f in sorted(what) if f != "test")
