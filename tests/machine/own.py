"""The project of machines with a root of their own."""

from __future__ import annotations

from pathlib import Path

from tests.support import OWN, Store, project

TOML = """seed = "debian"
root = "own"
profile = "own:default"
portage = ["base"]
packages = {atoms}
{more}
"""


def prepared(store: Store) -> Path:
    """A copy of the project; its packages have no sources."""
    place = project(store, OWN)
    for ebuild in place.glob("repo/*/*/*.ebuild"):
        (ebuild.parent / "Manifest").touch()
    return store.user.own(place)
