"""Dependencies on packages that are installed in the seed, and among those packages."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .graph import kinds

RUN_TIME = ("RDEPEND", "PDEPEND")


def uses(depgraph: Any, merged: Iterable[Any]) -> dict[Any, list[dict[str, Any]]]:
    """For each package the edges to installed ones, sorted by CPV.

    An installed package in the same slot, which the merge removes, has the kind "replaces".
    """
    from _emerge.Package import Package

    nodes = depgraph._dynamic_config.digraph.nodes
    result = {}
    for parent in merged:
        found: dict[str, set[str]] = {}
        for child, priorities in (nodes[parent][0] if parent in nodes else {}).items():
            if isinstance(child, Package) and child.installed:
                found.setdefault(str(child.cpv), set()).update(kinds(priorities))
        for cpv in parent.root_config.trees["vartree"].dbapi.match(parent.slot_atom):
            found.setdefault(str(cpv), set()).add("replaces")
        result[parent] = [
            {"to": cpv, "kinds": sorted(kinds)} for cpv, kinds in sorted(found.items()) if kinds
        ]
    return result


def needs(vardb: Any) -> dict[str, list[str]]:
    """For each installed package the installed ones that its run-time dependencies name.

    All installed alternatives count: which of them it uses is not recorded.
    """
    from portage.dep import Atom, use_reduce
    from portage.exception import InvalidDependString

    result = {}
    for cpv in vardb.cpv_all():
        eapi, use, *dependencies = vardb.aux_get(cpv, ["EAPI", "USE", *RUN_TIME])
        found: set[str] = set()
        try:
            words = use_reduce(
                " ".join(dependencies), uselist=use.split(), flat=True, token_class=Atom, eapi=eapi
            )
        except InvalidDependString:
            words = []  # of an old EAPI; Portage, too, ignores it in queries
        for word in words:
            if isinstance(word, Atom) and not word.blocker:
                found.update(map(str, vardb.match(word.without_use)))
        result[str(cpv)] = sorted(found - {str(cpv)})
    return result
