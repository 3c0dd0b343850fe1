"""Finds advisories (GLSAs) of a repository that concern a system, before and after a change."""

from __future__ import annotations

import sys
from pathlib import Path

if not __package__:
    sys.path.insert(0, str(Path(__file__).parents[1]))
    __package__ = "guest"

import re
from collections.abc import Iterable
from typing import Any

from . import phases
from . import settings as guest_settings
from .protocol import Channel, serve

PLACE = "/var/db/repos/{}/metadata/glsa"
NAMED = re.compile(rb'<package\s[^>]*name="([^"]+)"')
LONGEST = 1 << 20  # bytes of an advisory; usual ones have a few thousand


def main(request: dict[str, Any], _: Channel) -> dict[str, Any]:
    """Answer a request of the protocol."""
    guest_settings.apply(request["root"])
    settings, trees = phases.load()
    vardb = trees["vartree"].dbapi
    here = [(cpv, vardb.aux_get(cpv, ["SLOT"])[0]) for cpv in vardb.cpv_all()]
    before = database(merged(here, request["before"]), settings)
    after = database(merged(remaining(here, request["before"]), request["after"]), settings)
    found = []
    for repository in request["repositories"]:
        place = PLACE.format(repository)
        settings.unlock()
        settings["GLSA_DIR"] = place
        found += concerning(place, settings, before, after)
    return {"advisories": found}


def remaining(here: Iterable[Any], before: Iterable[Any]) -> list[Any]:
    """What is installed (CPV and slot) without the packages of a plan that is given up."""
    gone = {(cpv, slot.partition("/")[0]) for cpv, slot in before}
    return [(cpv, slot) for cpv, slot in here if (str(cpv), slot.partition("/")[0]) not in gone]


def merged(here: Iterable[Any], planned: Iterable[Any]) -> list[tuple[str, str]]:
    """What is installed when these packages (CPV and slot) replaced others of their slots."""
    from portage.versions import cpv_getkey

    slots: dict[tuple[str, str], tuple[str, str]] = {}
    for cpv, slot in (*here, *planned):
        slot = slot.partition("/")[0]
        slots[cpv_getkey(cpv), slot] = cpv, slot
    return list(slots.values())


def database(packages: Iterable[tuple[str, str]], settings: Any) -> Any:
    """These packages, for Portage to look through."""
    from portage.dbapi.virtual import fakedbapi
    from portage.versions import _pkg_str

    found = fakedbapi(settings=settings)
    for cpv, slot in packages:
        metadata = {"SLOT": slot, "EAPI": "8", "KEYWORDS": "", "repository": "none"}
        found.cpv_inject(_pkg_str(cpv, metadata=metadata, settings=settings), metadata=metadata)
    return found


def concerning(place: str, settings: Any, before: Any, after: Any) -> list[dict[str, Any]]:
    """The advisories by which something before the change is vulnerable."""
    from portage.glsa import Glsa, get_glsa_list

    names = {name.encode() for name in before.cp_all()}
    found = []
    for number in sorted(get_glsa_list(settings)):
        try:
            path = Path(place, f"glsa-{number}.xml")
            if path.is_symlink() or path.stat().st_size > LONGEST:
                continue
            if not names & set(NAMED.findall(path.read_bytes())):
                continue
            advisory = Glsa(number, settings, before, before)
            vulnerable = vulnerable_in(advisory, before, settings)
            still = vulnerable_in(advisory, after, settings)
        except Exception as error:  # what Portage cannot read is no advisory
            print(f"{place}/glsa-{number}.xml: {error}", flush=True)
            continue
        if vulnerable:
            said = {"id": number, "title": str(advisory.title), "announced": advisory.announced}
            found.append({**said, "packages": sorted(vulnerable), "closed": not still})
    return found


def vulnerable_in(advisory: Any, packages: Any, settings: Any) -> set[str]:
    """The packages that an advisory calls vulnerable, and not unaffected."""
    from portage.glsa import match

    found: set[str] = set()
    for paths in advisory.packages.values():
        for path in paths:
            if path["arch"] != "*" and settings["ARCH"] not in path["arch"].split():
                continue
            bad = {str(cpv) for atom in path["vul_atoms"] for cpv in match(atom, packages)}
            good = {str(cpv) for atom in path["unaff_atoms"] for cpv in match(atom, packages)}
            found |= bad - good
    return found


if __name__ == "__main__":
    serve(main)
