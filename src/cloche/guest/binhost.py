"""Writes the index of a package directory, as ``emaint binhost --fix`` does."""

from __future__ import annotations

import sys
from pathlib import Path

if not __package__:
    sys.path.insert(0, str(Path(__file__).parents[1]))
    __package__ = "guest"

from typing import Any

from . import phases
from . import settings as guest_settings
from .protocol import OUT, Channel, Failed, serve

#: `_populate_local` reads a package again whose entry lacks a key of `_aux_cache_keys`; of these,
#: Portage leaves out this one where it is empty, and has no default for it.
WANTED = "USER_PATCHES"


def main(request: dict[str, Any], channel: Channel) -> dict[str, Any]:
    """Answer a request of the protocol."""
    guest_settings.apply()
    _, trees = phases.load()
    trees["bintree"]._pkgindex_default_pkg_data.setdefault(WANTED, "")
    from portage.emaint.modules.binhost.binhost import BinhostHandler

    result = BinhostHandler().fix()
    messages = result[1] if isinstance(result, tuple) else result
    for message in messages or ():
        print(message)
    index = OUT / "Packages"
    if not index.exists():
        raise Failed(kind="other", text="Portage wrote no index")
    unreadable = unlisted(index.read_text(encoding="utf-8"), OUT)
    if unreadable:
        raise Failed(kind="other", text=f"not a package that Portage can read: {unreadable[0]}")
    (OUT / ".Packages.portage_lockfile").unlink(missing_ok=True)
    return {"packages": sum(1 for _ in OUT.glob("*/*/*.gpkg.tar"))}


def unlisted(index: str, directory: Path) -> list[str]:
    """Package files below ``directory`` that the index does not name."""
    listed = {line[6:] for line in index.splitlines() if line.startswith("PATH: ")}
    present = {str(path.relative_to(directory)) for path in directory.glob("*/*/*.gpkg.tar")}
    return sorted(present - listed)


if __name__ == "__main__":
    serve(main)
