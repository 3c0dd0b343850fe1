"""Lists the versions of packages in the repositories, with their slots."""

from __future__ import annotations

import sys
from pathlib import Path

if not __package__:
    sys.path.insert(0, str(Path(__file__).parents[1]))
    __package__ = "guest"

from typing import Any

from . import phases
from . import settings as guest_settings
from .protocol import Channel, serve


def main(request: dict[str, Any], channel: Channel) -> dict[str, Any]:
    """Answer a request of the protocol: ``names`` are CATEGORY/PN."""
    guest_settings.apply()
    _, trees = phases.load()
    portdb = trees["porttree"].dbapi
    return {"versions": {name: versions(portdb, name) for name in request["names"]}}


def versions(portdb: Any, name: str) -> list[tuple[str, str, str]]:
    """Version, slot and sub-slot of each ebuild of a package, in the order of versions."""
    found = []
    for cpv in portdb.cp_list(name):
        try:
            (slot,) = portdb.aux_get(cpv, ["SLOT"])
        except KeyError:  # an ebuild that is broken
            continue
        slot, _, sub_slot = slot.partition("/")
        found.append((str(cpv)[len(name) + 1 :], slot, sub_slot or slot))
    return found


if __name__ == "__main__":
    serve(main)
