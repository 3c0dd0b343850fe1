"""Compares a plan with the machine's last build as emerge does: versions, slots, USE flags."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from cloche.plan.depgraph import Depgraph, Package
from cloche.plan.versions import version_key


@dataclass(frozen=True, slots=True)
class Flag:
    """A USE flag of a package, without the prefix of its group.

    ``changed``: it was enabled and is disabled, or vice versa. ``new``: the package did not have it
    before; ``removed``: it no longer has it. ``fixed``: the profile forces or masks it.
    """

    name: str
    enabled: bool
    changed: bool = False
    new: bool = False
    removed: bool = False
    fixed: bool = False

    @property
    def differs(self) -> bool:
        """Whether it differs from before."""
        return self.changed or self.new or self.removed


@dataclass(frozen=True, slots=True)
class Change:
    """What a plan changes about one package.

    ``status`` has emerge's letters: "N" new, "NS" in a new slot, "U" an update, "UD" a downgrade,
    "R" the same version with other flags, or built again; empty if nothing changes. ``before`` is
    the replaced version (with ``::REPO`` if that differs). ``flags`` are by group, "USE" first;
    ``hidden`` names the groups that are hidden from users.
    """

    status: str
    before: str | None
    flags: Mapping[str, tuple[Flag, ...]]
    hidden: frozenset[str]

    @property
    def shown(self) -> dict[str, tuple[Flag, ...]]:
        """The groups for users; also hidden ones, if only flags of these differ."""
        seen = {name: flags for name, flags in self.flags.items() if name not in self.hidden}
        if self.status == "R" and not any(f.differs for flags in seen.values() for f in flags):
            for name in self.flags.keys() & self.hidden:
                if differing := tuple(f for f in self.flags[name] if f.differs):
                    seen[name] = differing
        return seen


def changed_since(graph: Depgraph, before: Depgraph, again: frozenset[str]) -> dict[str, Change]:
    """The change of each package in ``graph``, by its id.

    ``before`` is the resolution of the machine's last build, empty without one; ``again`` are the
    ids of packages that are not reused.
    """
    known: dict[tuple[str, bool], list[Package]] = {}
    for package in before.packages:
        known.setdefault((package.cp, package.broot), []).append(package)
    expand = {name.lower(): name for name in graph.use_expand}
    hidden = frozenset(graph.use_expand_hidden)
    found = {}
    for package in graph.packages:
        old, status = _place(package, known.get((package.cp, package.broot), ()))
        flags = _flags(package, old)
        if not status and (package.id in again or any(flag.differs for flag in flags)):
            status = "R"
        shown = None if old is None or status == "R" else _version(package, old)
        found[package.id] = Change(status, shown, _grouped(flags, expand), hidden)
    return found


def gone(graph: Depgraph, before: Depgraph) -> tuple[str, ...]:
    """CPVs of the machine's last build that nothing replaces, sorted."""
    slots = {(package.cp, package.slot, package.broot) for package in graph.packages}
    found = (p.cpv for p in before.packages if (p.cp, p.slot, p.broot) not in slots)
    return tuple(sorted(found))


def _place(package: Package, others: Sequence[Package]) -> tuple[Package | None, str]:
    """The package that it replaces, and the status letters."""
    if not others:
        return None, "N"
    old = next((other for other in others if other.slot == package.slot), None)
    if old is None:
        return None, "NS"
    mine, its = version_key(package.version), version_key(old.version)
    if mine == its:
        return old, "" if package.repo == old.repo else "R"
    return old, "U" if mine > its else "UD"


def _version(package: Package, old: Package) -> str | None:
    words = old.version if old.repo == package.repo else f"{old.version}::{old.repo}"
    return None if words == package.version else words


def _flags(package: Package, old: Package | None) -> tuple[Flag, ...]:
    """Its flags in emerge's order: enabled, disabled, removed."""
    use, fixed = set(package.use), set(package.fixed)
    was, known = (set(old.use), set(old.iuse)) if old else (set[str](), set[str]())
    flags = [
        Flag(
            name=name,
            enabled=name in use,
            # A new flag that is enabled: emerge marks it "%*".
            changed=old is not None and (name in use) != (name in was & known),
            new=old is not None and name not in known,
            fixed=name in fixed,
        )
        for name in sorted(package.iuse)
    ]
    removed = sorted(known - set(package.iuse))
    return (
        *(flag for flag in flags if flag.enabled),
        *(flag for flag in flags if not flag.enabled),
        *(Flag(name, enabled=False, changed=name in was, removed=True) for name in removed),
    )


def _grouped(flags: Sequence[Flag], expand: Mapping[str, str]) -> dict[str, tuple[Flag, ...]]:
    """The flags by the USE_EXPAND variable that each belongs to; of two, the longer name."""
    groups: dict[str, list[Flag]] = {"USE": []}
    prefixes = sorted(expand, key=len, reverse=True)
    for flag in flags:
        prefix = next((p for p in prefixes if flag.name.startswith(f"{p}_")), None)
        if prefix is None:
            groups["USE"].append(flag)
        else:
            groups.setdefault(expand[prefix], []).append(
                replace(flag, name=flag.name.removeprefix(f"{prefix}_"))
            )
    names = ("USE", *sorted(groups.keys() - {"USE"}))
    return {name: tuple(groups[name]) for name in names if groups[name]}
