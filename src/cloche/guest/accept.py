"""Asks the target's Portage which packages of an index it takes: ``emerge --usepkgonly``.

It also says which variables it would build them with, and which packages it would choose.

Each package is proven by a resolution in which Portage takes it. Packages of different names are
asked for together first; where Portage refuses, each of them is asked for alone.
"""

from __future__ import annotations

import sys
from pathlib import Path

if not __package__:
    sys.path.insert(0, str(Path(__file__).parents[1]))
    __package__ = "guest"

import gc
from collections.abc import Iterable, Iterator
from typing import Any

from . import phases
from . import settings as guest_settings
from .capture import captured_output
from .describe import environment
from .graph import merge_list
from .protocol import Channel, Failed, serve
from .resolve import BINHOSTS, GARBAGE, calculate, load_config

HOST = "offered"
ONLY = {
    "--usepkg": True,
    "--usepkgonly": True,
    "--getbinpkg": True,
    "--getbinpkgonly": True,
    "--binpkg-respect-use": "y",
    "--oneshot": True,
}
#: Portage's lines about the refusal itself, and those of which the user learns nothing.
LONGEST = 4000  # characters of its words


def main(request: dict[str, Any], channel: Channel) -> dict[str, Any]:
    """Answer a request of the protocol: ``cpvs`` are those of the index that is bound."""
    gc.set_threshold(GARBAGE)
    guest_settings.apply(request["root"], PORTAGE_BINHOST=f"file://{BINHOSTS}/{HOST}")
    verdicts: dict[str, str] = {}
    for together in rounds(request["cpvs"]):
        taken = taken_of(together)
        if set(together) <= taken[0]:
            verdicts |= dict.fromkeys(together, "")
            continue
        for cpv in together:
            found, words = taken_of([cpv])
            verdicts[cpv] = "" if cpv in found else words or "Portage does not choose it"
    config = load_config([], {}).target_config
    settings, portdb = phases.clone(config.settings), config.trees["porttree"].dbapi
    return {
        "verdicts": verdicts,
        "environments": {cpv: variables_of(settings, portdb, cpv) for cpv in verdicts},
        "chosen": {name: chosen(settings, portdb, name) for name in request["names"]},
    }


def variables_of(settings: Any, portdb: Any, cpv: str) -> dict[str, str]:
    """The effective variables of a package, if there is an ebuild for it; otherwise the general.

    ``settings`` is the caller's own config; it is set to the package.
    """
    if portdb.cpv_exists(cpv):
        settings.setcpv(cpv, mydb=portdb)
    else:
        settings.reset()
    return environment(settings)


def chosen(settings: Any, portdb: Any, name: str) -> dict[str, Any] | None:
    """The package that Portage would choose for CATEGORY/PN:SLOT, as a build would see it."""
    cpv = portdb.xmatch("bestmatch-visible", name)
    if not cpv:
        return None
    settings.setcpv(cpv, mydb=portdb)
    iuse = {flag.lstrip("+-") for flag in portdb.aux_get(cpv, ["IUSE"])[0].split()}
    slot, _, sub_slot = portdb.aux_get(cpv, ["SLOT"])[0].partition("/")
    return {
        "cp": str(cpv.cp),
        "slot": slot,
        "sub_slot": sub_slot or slot,
        "version": str(cpv)[len(str(cpv.cp)) + 1 :],
        "use": sorted(iuse & set(settings["PORTAGE_USE"].split())),
    }


def rounds(cpvs: Iterable[str]) -> Iterator[list[str]]:
    """Groups of packages in which no two have the same name."""
    from portage.versions import cpv_getkey

    left = list(cpvs)
    while left:
        group: dict[str, str] = {}
        for cpv in left:
            group.setdefault(str(cpv_getkey(cpv)), cpv)
        yield sorted(group.values())
        left = [cpv for cpv in left if cpv not in set(group.values())]


def taken_of(cpvs: list[str]) -> tuple[set[str], str]:
    """The packages that Portage would merge for these, and its words where it refuses."""
    with captured_output() as captured:
        try:
            config = load_config([f"={cpv}" for cpv in cpvs], ONLY)
            bintree = config.target_config.trees["bintree"]
            bintree.populate(getbinpkgs=True, getbinpkg_refresh=True)
            depgraph = calculate(config)
            merged = {str(package.cpv) for package in merge_list(depgraph) if package.built}
            depgraph.display_problems()
        except Failed as failure:
            merged, own = set(), str(failure.fields.get("text", ""))
            print(own)
    return merged, shortened(captured.text)


def shortened(text: str) -> str:
    """Portage's words without empty lines, from the first that it marks as a problem on."""
    lines = [line.rstrip() for line in text.splitlines() if line.strip(" .*")]
    first = next((n for n, line in enumerate(lines) if line.startswith("!!!")), 0)
    return "\n".join(lines[first:])[:LONGEST]


if __name__ == "__main__":
    serve(main)
