"""Makes Manifests of packages (GLEP 74) with Portage's own code. It fetches and writes nothing.

Files in DISTDIR are hashed; for others, the digests of the present Manifest are kept.
"""

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
from .protocol import Channel, Failed, serve
from .refusals import broken

DISTDIR = Path(guest_settings.ENVIRONMENT["DISTDIR"])


def main(request: dict[str, Any], _: Channel) -> dict[str, Any]:
    """Answer a request of the protocol."""
    guest_settings.apply()
    settings, trees = phases.load()
    portdb = trees["porttree"].dbapi
    tree = portdb.repositories[request["repo"]].location
    return {"packages": [answer(cp, tree, request, settings, portdb) for cp in request["packages"]]}


def answer(
    cp: str, tree: str, request: dict[str, Any], settings: Any, portdb: Any
) -> dict[str, Any]:
    """The correct Manifest of ``cp``, or the distfiles that are needed to make it."""
    from portage.const import MANIFEST2_HASH_DEFAULTS
    from portage.dbapi.porttree import FetchlistDict

    listed = distfiles(cp, tree, portdb)
    directory = Path(tree, cp)
    repository = portdb.repositories.get_repo_for_location(tree)
    fetchlist = FetchlistDict(str(directory), settings, portdb)
    made = repository.load_manifest(str(directory), str(DISTDIR), fetchlist_dict=fetchlist)
    hashes = {"size", *(repository.manifest_required_hashes or MANIFEST2_HASH_DEFAULTS)}
    known = {n for n, d in made.fhashdict.get("DIST", {}).items() if hashes <= d.keys()}
    if request.get("anew"):
        known = set()
    absent = [f for f in listed if f["name"] not in known and not (DISTDIR / f["name"]).exists()]
    said: dict[str, Any] = {"cp": cp, "absent": absent}
    if not absent and made.allow_create:
        made.create(assumeDistHashesSometimes=True)
        lines = [f"{entry}\n" for entry in made._createManifestEntries()]
        said |= {"text": "".join(lines), "distfiles": made.fhashdict.get("DIST", {})}
    return said


def distfiles(cp: str, tree: str, portdb: Any) -> list[dict[str, Any]]:
    """All distfiles of all versions, for any USE flags, with their URIs. Raises Failed."""
    from portage.dep import use_reduce
    from portage.exception import PortageException

    found: dict[str, dict[str, Any]] = {}
    for cpv in portdb.cp_list(cp, mytree=tree):
        with captured_output() as captured:
            try:
                uris = portdb.getFetchMap(cpv, mytree=tree)
                (restrict,) = portdb.aux_get(cpv, ["RESTRICT"], mytree=tree)
                words, error = use_reduce(restrict, flat=True, matchall=True), None
            except (PortageException, KeyError) as caught:
                words, error = [], caught
        if error is not None:
            reason = f"{type(error).__name__}: {error}"
            raise Failed(atom=f"={cpv}", **{"reason": reason, **broken(captured.text)})
        for name, places in uris.items():
            file = found.setdefault(name, {"name": name, "cpv": cpv, "restrict": words, "uris": []})
            file["uris"] += [uri for uri in places if uri not in file["uris"]]
    return list(found.values())


if __name__ == "__main__":
    serve(main)
