"""Checks repositories that were made of overlays, as they are now; nothing is fetched or run."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping

from cloche.overlays.asking import CACHE
from cloche.overlays.content import Files, check_links
from cloche.overlays.edits import edits
from cloche.overlays.errors import OverlayError
from cloche.overlays.manifests import check
from cloche.overlays.places import Place
from cloche.overlays.record import Record, present
from cloche.overlays.selection import LAYOUT
from cloche.overlays.wishes import Wanted
from cloche.overlays.work import still_lacking
from cloche.portage.repository import read_layout


def faults(
    place: Place, overlay: str, wanted: Wanted | None, ours: Mapping[str, Record]
) -> Iterator[str]:
    """What is wrong with the repository of an overlay, a line each. Raises `ConfigError`.

    ``ours`` are the locks of all such repositories.
    """
    record = ours.get(overlay)
    if record is None:
        yield f"not taken: run `cloche overlay update {overlay}`"
        return
    files = present(place.repository(overlay))
    yield from _as_wanted(record, wanted)
    yield from (f"local edit: {edit.path} ({edit.how})" for edit in edits(record, files))
    for package in record.packages:
        found = check(package, files, {})
        yield from found.wrong
    try:
        check_links(overlay, files)
    except OverlayError as error:
        yield error.what
    yield from _stale(files)
    layout = read_layout(_text(files, LAYOUT))
    for master in layout.get("masters", "").split():
        if master not in place.repos:
            yield f"its master “{master}” is not configured"
        elif not place.repos[master].path.is_dir():
            yield f"its master “{master}” is not in {place.repos[master].path}"
    if overlay not in place.repos:
        where = "cloche.toml" if place.project else "repos.conf"
        yield f"it is not in {where}"
    for atom, who in still_lacking(record, ours.values()).items():
        yield f"no repository has {atom}, needed by {', '.join(who)}"


def _as_wanted(record: Record, wanted: Wanted | None) -> Iterator[str]:
    listed = set(wanted.packages) if wanted else set()
    for package in sorted(listed - record.packages.keys()):
        yield f"{package} is listed, but not taken: run `cloche overlay update {record.overlay}`"
    for package, why in record.packages.items():
        if not why and package not in listed:
            yield f"{package} is not listed any more: run `cloche overlay update {record.overlay}`"


def _stale(files: Files) -> Iterator[str]:
    """Ebuilds whose metadata cache is of another content: Portage sources them each time."""
    for path, file in files.items():
        category, _, rest = path.partition("/")
        _, _, name = rest.partition("/")
        if name.endswith(".ebuild") and "/" not in name:
            entry = f"{CACHE}/{category}/{name.removesuffix('.ebuild')}"
            if f"_md5_={_md5(file.content)}" not in _text(files, entry).splitlines():
                yield f"{path} has no current metadata: run `cloche overlay update`"


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def _text(files: Files, path: str) -> str:
    return files[path].content.decode(errors="replace") if path in files else ""
