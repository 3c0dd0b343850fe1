"""Reads Portage's depgraph: the merge list, and its edges with their kinds and atoms."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from . import settings as guest_settings

#: The order in which kinds are named.
KINDS = ("buildtime", "runtime", "install", "runtime_post")


def identity(package: Any) -> str:
    """The ID of a package in the answer."""
    return f"{package.cpv}::{package.repo}{'@broot' if in_broot(package) else ''}"


def in_broot(package: Any) -> bool:
    """Whether a package is merged over the seed, for the builds of a root of its own."""
    return guest_settings.own_root() and Path(package.root) == Path("/")


def merge_list(depgraph: Any) -> list[Any]:
    """The packages to merge, from source or as binary packages, in Portage's order."""
    from _emerge.Package import Package

    return [
        node
        for node in depgraph.altlist()
        if isinstance(node, Package)
        and node.operation == "merge"
        and node.type_name in ("ebuild", "binary")
    ]


def kinds(priorities: Iterable[Any]) -> list[str]:
    """The kinds of dependency that the priorities of one edge represent.

    Portage keeps every priority of a pair of packages. That of IDEPEND is marked ``installtime``
    and, for the merge order, also ``runtime``; it is not an RDEPEND.
    """
    found = set()
    for priority in priorities:
        if getattr(priority, "ignored", False):
            continue
        if getattr(priority, "buildtime", False):
            found.add("buildtime")
        if getattr(priority, "installtime", False):
            found.add("install")
        elif getattr(priority, "runtime", False):
            found.add("runtime")
        if getattr(priority, "runtime_post", False):
            found.add("runtime_post")
    return [kind for kind in KINDS if kind in found]


def edges(depgraph: Any, merged: list[Any]) -> dict[Any, list[dict[str, Any]]]:
    """For each package its edges to others in the merge list, in the order of that list.

    ``atom`` is the dependency as the ebuild writes it, with USE conditionals evaluated; several
    atoms for the same package are separated by spaces.
    """
    config = depgraph._dynamic_config
    nodes = config.digraph.nodes
    place = {package: number for number, package in enumerate(merged)}
    result: dict[Any, list[dict[str, Any]]] = {}
    for parent in merged:
        children = nodes[parent][0] if parent in nodes else {}
        result[parent] = []
        for child in sorted((c for c in children if c in place), key=place.__getitem__):
            kinds_found = kinds(children[child]) if child is not parent else []
            if kinds_found:
                atoms = _atoms(config, parent, child)
                result[parent].append(
                    {"to": identity(child), "kinds": kinds_found, "atom": " ".join(atoms)}
                )
    return result


def _atoms(config: Any, parent: Any, child: Any) -> list[str]:
    atoms = {str(atom) for owner, atom in config._parent_atoms.get(child, ()) if owner == parent}
    if len(atoms) > 1 and child.category == "virtual":
        atoms.discard(f"={child.cpv}")  # Portage adds it for the virtual that it has chosen
    return sorted(atoms) or [str(child.slot_atom)]


def requested(depgraph: Any, package: Any) -> bool:
    """Whether an atom or a set of the request named the package."""
    from _emerge.DependencyArg import DependencyArg

    config = depgraph._dynamic_config
    asked = set(config._initial_arg_list)
    nodes = config.digraph.nodes
    pending = [parent for parent in nodes[package][1] if isinstance(parent, DependencyArg)]
    seen: set[Any] = set()
    while pending:  # a set may be nested in a requested set
        argument = pending.pop()
        if argument in asked:
            return True
        if argument not in seen and argument in nodes:
            seen.add(argument)
            pending += [p for p in nodes[argument][1] if isinstance(p, DependencyArg)]
    return False
