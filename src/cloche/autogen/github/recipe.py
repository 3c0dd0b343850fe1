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

    ``kind`` is a table of the mapping. ``flags``: only with all of these USE flags (``!flag``:
    without it). ``optional``: it is used where it is there, whatever the flags.
    """

    kind: str
    name: str
    versions: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    native: bool = False
    optional: bool = False


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


@dataclass(frozen=True, slots=True)
class Condition:
    """When a part of a build file counts: with all of these USE flags (``!flag``: without it).

    ``exact`` is False where it counts under more than that, which cannot be read. ``never``: not on
    Linux, whatever the flags.
    """

    flags: tuple[str, ...] = ()
    exact: bool = True
    never: bool = False


ALWAYS, NEVER, UNKNOWN = Condition(), Condition(never=True), Condition(exact=False)


def opposite(condition: Condition) -> Condition:
    """When the other part counts: unknown if several flags, or what cannot be read, decide."""
    if condition.never:
        return ALWAYS
    if not condition.exact or len(condition.flags) > 1:
        return UNKNOWN
    if not condition.flags:
        return NEVER
    (flag,) = condition.flags
    return Condition((flag.removeprefix("!") if flag.startswith("!") else f"!{flag}",))


def all_of(conditions: Iterable[Condition]) -> Condition:
    """When all are so."""
    flags: dict[str, None] = {}
    exact = True
    for each in conditions:
        if each.never:
            return NEVER
        flags |= dict.fromkeys(each.flags)
        exact = exact and each.exact
    if any(f"!{flag}" in flags for flag in flags):
        return NEVER
    return Condition(tuple(flags), exact)


def any_of(conditions: Iterable[Condition]) -> Condition:
    """When one is so at least."""
    possible = dict.fromkeys(each for each in conditions if not each.never)
    if ALWAYS in possible:
        return ALWAYS
    if not possible:
        return NEVER
    return next(iter(possible)) if len(possible) == 1 else UNKNOWN


class Blocks:
    """The blocks that stand around a line: ``if`` with its later branches, within others."""

    def __init__(self) -> None:
        self._around: list[tuple[list[Condition], Condition]] = []

    def begin(self, condition: Condition) -> None:
        """``if``."""
        self._around.append(([], condition))

    def branch(self, condition: Condition = ALWAYS) -> None:
        """``elif`` or ``else``: no earlier branch counts. Without an ``if``, nothing."""
        if self._around:
            earlier, last = self._around.pop()
            self._around.append(([*earlier, last], condition))

    def end(self) -> None:
        """``endif``."""
        if self._around:
            self._around.pop()

    @property
    def condition(self) -> Condition:
        """When the line counts."""
        return all_of(
            each for earlier, own in self._around for each in (*map(opposite, earlier), own)
        )


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
    """What needs become; each package is named once for the same flags."""
    listed = list(needs)
    sorted_out: dict[bool, _Groups] = {False: {}, True: {}}
    unknown: dict[str, None] = {}
    loose: dict[str, None] = {}
    for need in listed:
        atoms = names.find(need.kind, need.name)
        if atoms is None:
            unknown[need.name] = None
        for atom in atoms or ():
            wanted = limited(atom, need.versions)
            if wanted is None:
                loose[f"{need.name} {', '.join(need.versions)}"] = None
            native = need.native or need.kind == "program"
            group = sorted_out[native].setdefault(need.flags, {})
            group |= {of_build(each) if native else each: None for each in wanted or (atom,)}
    notes = []
    if unknown:
        text = ", ".join(unknown)
        notes.append(f"no package is known for {text}: add it to your own lines, or use --names")
    if loose:
        notes.append(f"versions that have no exact form are left out: {', '.join(loose)}")
    needed = {(each.kind, each.name) for each in listed if not each.optional}
    optional = {
        each.name: None
        for each in listed
        if (each.kind, each.name) not in needed and names.find(each.kind, each.name)
    }
    if optional:
        text = ", ".join(optional)
        notes.append(f"optional for upstream, but used where it is there, so required: {text}")
    return Found(_grouped(sorted_out[False]), _grouped(sorted_out[True]), tuple(notes))


_Groups = dict[tuple[str, ...], dict[Atom, None]]


def _grouped(groups: _Groups) -> tuple[Dependency, ...]:
    """Dependencies under their flags; what is needed with fewer of them is not said again."""
    found: list[Dependency] = [*_merged(groups.get((), {}))]
    for first in sorted({flags[0] for flags in groups if flags}):
        inner: _Groups = {
            flags[1:]: {atom: None for atom in atoms if atom not in groups.get((), {})}
            for flags, atoms in groups.items()
            if flags[:1] == (first,)
        }
        if under := _grouped(inner):
            found.append(WithUse(first, under))
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
