"""Finds the newest visible version of a package, as a dependency on it would."""

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
    """Answer a request of the protocol: ``atom``, and ``names`` that may exist (CATEGORY/PN)."""
    guest_settings.apply()
    settings, trees = phases.load()
    portdb = trees["porttree"].dbapi
    return {
        "best": str(portdb.xmatch("bestmatch-visible", request["atom"])),
        "any": bool(portdb.xmatch("match-all", request["atom"])),
        "arch": settings.get("ARCH", ""),
        "there": [name for name in request["names"] if portdb.cp_list(name)],
    }


if __name__ == "__main__":
    serve(main)
