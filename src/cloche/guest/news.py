"""Finds news items of the repositories (GLEP 42) that are relevant for this root, by Portage."""

from __future__ import annotations

import sys
from pathlib import Path

if not __package__:
    sys.path.insert(0, str(Path(__file__).parents[1]))
    __package__ = "guest"

import tempfile
from typing import Any

from . import phases
from . import settings as guest_settings
from .protocol import Channel, serve


def main(request: dict[str, Any], _: Channel) -> dict[str, Any]:
    """Answer a request of the protocol."""
    guest_settings.apply(request["root"])
    _settings, trees = phases.load()
    return {"items": {name: concerning(name, trees) for name in request["repositories"]}}


def concerning(repository: str, trees: Any) -> list[str]:
    """Names of a repository's relevant items; Portage skips malformed ones and logs them."""
    from portage.news import NewsManager
    from portage.util import grabfile

    with tempfile.TemporaryDirectory() as marks:
        portdb, vardb = trees["porttree"].dbapi, trees["vartree"].dbapi
        NewsManager(portdb, vardb, "metadata/news", marks).updateItems(repository)
        return sorted(grabfile(f"{marks}/news-{repository}.unread"))


if __name__ == "__main__":
    serve(main)
