"""Fetch distfiles with Portage's own fetch, checked against the Manifest."""

from __future__ import annotations

import sys
from pathlib import Path

if not __package__:
    sys.path.insert(0, str(Path(__file__).parents[1]))
    __package__ = "guest"

import os
from typing import Any

from . import phases
from . import settings as guest_settings
from .capture import captured_output
from .describe import manifest_digests
from .failures import classify_fetch, tail
from .protocol import Channel, Failed, serve

DISTDIR = Path(guest_settings.ENVIRONMENT["DISTDIR"])
_WGET = 'wget -nv {more} -t 3 -T 60 --passive-ftp -O "${{DISTDIR}}/${{FILE}}" "${{URI}}"'
_COPY = 'bash -c "exec cp -- \\"\\${1#file://}\\" \\"\\$2\\"" cp "${URI}" "${DISTDIR}/${FILE}"'
#: wget without its progress; file:// for tests and for mirrors on a disk.
COMMANDS = {
    "FETCHCOMMAND": _WGET.format(more=""),
    "RESUMECOMMAND": _WGET.format(more="-c"),
    "FETCHCOMMAND_FILE": _COPY,
    "RESUMECOMMAND_FILE": _COPY,
}


def main(request: dict[str, Any], channel: Channel) -> dict[str, Any]:
    """Answer a request of the protocol."""
    guest_settings.apply(**COMMANDS)
    settings, trees = phases.load()
    # Nothing but DISTDIR can be written here: there is no need for a lesser user.
    settings = phases.clone(settings)
    settings.features.discard("userfetch")
    package = request["package"]
    wanted, sizes = distfiles(package["cpv"], package["repo"], settings, trees)
    for name in request["files"]:
        if name not in wanted:
            text = f"{package['cpv']}::{package['repo']} has no distfile {name}"
            raise Failed(file=name, reason="missing", text=text)
        channel.event("fetch", file=name, state="start", size=sizes.get(name, 0))
        fetch_file(name, wanted[name], settings)
        channel.event("fetch", file=name, state="end", size=(DISTDIR / name).stat().st_size)
    return {"files": list(request["files"])}


def distfiles(cpv: str, repo: str, settings: Any, trees: Any) -> tuple[Any, dict[str, int]]:
    """URIs and sizes of all distfiles of the package, whatever its USE.

    ``settings`` becomes the package's.
    """
    import portage

    portdb = trees["porttree"].dbapi
    package = phases.ebuild_package(cpv, repo, settings, trees)
    settings.setcpv(package)
    ebuild = portdb.findname(cpv, myrepo=repo)
    portage.doebuild_environment(ebuild, "fetch", settings=settings, db=portdb)
    tree = portdb.getRepositoryPath(repo)
    digests = manifest_digests(Path(ebuild).parent, tree, portdb)
    sizes = {name: int(fields["size"]) for name, fields in digests.items()}
    return portdb.getFetchMap(cpv, mytree=tree), sizes


def fetch_file(name: str, places: Any, settings: Any) -> None:
    """Fetch one file, or see that it is there already. Raises Failed."""
    from portage.package.ebuild.fetch import fetch

    with captured_output() as captured:
        done = fetch({name: places}, settings, use_locks=0, allow_missing_digests=False)
    if done and (DISTDIR / name).exists():
        leave(name, keep=(name,))
        os.chown(DISTDIR / name, 0, 0)
        (DISTDIR / name).chmod(0o644)
        return
    reason = classify_fetch(captured.text)
    # What has come so far of a file that broke off can be gone on with.
    leave(name, keep=(f"{name}.__download__",) if reason == "network" else ())
    raise Failed(file=name, reason=reason, text=tail(captured.text))


def leave(name: str, keep: tuple[str, ...]) -> None:
    """Remove every file that a fetch of ``name`` made, except ``keep``."""
    made = {DISTDIR / name, DISTDIR / f"{name}.__download__"}
    made |= {p for p in DISTDIR.iterdir() if p.name.startswith(f"{name}._checksum_failure_.")}
    for path in made:
        if path.name not in keep:
            path.unlink(missing_ok=True)


if __name__ == "__main__":
    serve(main)
