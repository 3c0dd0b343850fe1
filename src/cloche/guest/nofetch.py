"""Runs pkg_nofetch: an ebuild's instructions for sources that users fetch by hand."""

from __future__ import annotations

import sys
from pathlib import Path

if not __package__:
    sys.path.insert(0, str(Path(__file__).parents[1]))
    __package__ = "guest"

from typing import Any

from . import phases
from . import settings as guest_settings
from .capture import captured_output
from .protocol import Channel, serve


def main(request: dict[str, Any], _: Channel) -> dict[str, Any]:
    """Answer a request of the protocol."""
    guest_settings.apply()
    settings, trees = phases.load()
    package = phases.ebuild_package(request["cpv"], request["repo"], settings, trees)
    settings = phases.clone(settings)
    settings.setcpv(package)
    from portage.package.ebuild._spawn_nofetch import spawn_nofetch

    portdb = trees["porttree"].dbapi
    with captured_output() as captured:
        spawn_nofetch(portdb, portdb.findname(package.cpv, myrepo=package.repo), settings)
    return {"text": captured.text}


if __name__ == "__main__":
    serve(main)
