"""Runs pkg_pretend of several packages, as emerge does before the first build."""

from __future__ import annotations

import sys
from pathlib import Path

if not __package__:
    sys.path.insert(0, str(Path(__file__).parents[1]))
    __package__ = "guest"

from typing import Any

from . import elog, leftovers, phases
from . import settings as guest_settings
from .build import package_settings
from .protocol import Channel, Failed, serve


def main(request: dict[str, Any], channel: Channel) -> dict[str, Any]:
    """Answer a request of the protocol."""
    guest_settings.apply(request["root"])
    settings, trees = phases.load(refreshed=True)
    with leftovers.ended(channel):
        answers = [
            answer(wanted["cpv"], wanted["repo"], settings, trees) for wanted in request["packages"]
        ]
    return {"packages": answers}


def answer(cpv: str, repo: str, settings: Any, trees: Any) -> dict[str, Any]:
    """The result of one package's pkg_pretend; ``text`` is None if it succeeded."""
    said: dict[str, Any] = {"cpv": cpv, "repo": repo, "text": None}
    try:
        package = phases.ebuild_package(cpv, repo, settings, trees)
        own = package_settings(package, settings, trees)
        with elog.collected(package.cpv, own) as found:
            phases.run_phase("pretend", own)
        said["elog"] = found.messages
    except Failed as failure:
        said |= {"text": str(failure), "elog": failure.fields.get("elog", [])}
    return said


if __name__ == "__main__":
    serve(main)
