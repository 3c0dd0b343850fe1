"""Fetches distfiles with Portage's own fetch. It neither reads nor sources ebuilds."""

from __future__ import annotations

import sys
from pathlib import Path

if not __package__:
    sys.path.insert(0, str(Path(__file__).parents[1]))
    __package__ = "guest"

import os
from typing import Any

from . import phases, relay
from . import settings as guest_settings
from .capture import captured_output
from .failures import classify_fetch, tail
from .protocol import Channel, Failed, serve

DISTDIR = Path(guest_settings.ENVIRONMENT["DISTDIR"])
_WGET = 'wget -nv {more} -t 3 -T 60 --passive-ftp -O "${{DISTDIR}}/${{FILE}}" "${{URI}}"'
_COPY = 'bash -c "exec cp -- \\"\\${1#file://}\\" \\"\\$2\\"" cp "${URI}" "${DISTDIR}/${FILE}"'
#: wget without its progress bar; file:// for tests and for local mirrors.
COMMANDS = {
    "FETCHCOMMAND": _WGET.format(more=""),
    "RESUMECOMMAND": _WGET.format(more="-c"),
    "FETCHCOMMAND_FILE": _COPY,
    "RESUMECOMMAND_FILE": _COPY,
}


def main(request: dict[str, Any], channel: Channel) -> dict[str, Any]:
    """Answer a request of the protocol."""
    address = relay.start()
    names = ("http_proxy", "https_proxy", "ftp_proxy")
    # rsync tunnels through a proxy, and needs its address without a scheme.
    proxies = dict.fromkeys(names, address) | {"no_proxy": ""}
    guest_settings.apply(**COMMANDS, **proxies, RSYNC_PROXY=address.removeprefix("http://"))
    settings, _ = phases.load()
    # Only DISTDIR is writable here, so fetching as an unprivileged user is not needed.
    settings = phases.clone(settings)
    settings.features.discard("userfetch")
    package = request["package"]
    category, _, pf = package["cpv"].partition("/")
    settings.configdict["pkg"].update(
        {"CATEGORY": category, "PF": pf, "PORTAGE_RESTRICT": " ".join(package["restrict"])}
    )
    for file in request["files"]:
        name, size = file["name"], file["size"]
        channel.event("fetch", file=name, state="start", size=size)
        digests = {**file["digests"], "size": size} if file["digests"] else None
        fetch_file(name, file["uris"], digests, settings)
        channel.event("fetch", file=name, state="end", size=(DISTDIR / name).stat().st_size)
    return {"files": [file["name"] for file in request["files"]]}


def fetch_file(name: str, uris: list[str], digests: dict[str, Any] | None, settings: Any) -> None:
    """Fetch one file unless it exists already. Raises Failed.

    Without ``digests`` any content is accepted: a Manifest will be made from it.
    """
    from portage.package.ebuild.fetch import fetch

    with captured_output() as captured:
        done = fetch(
            {name: uris},
            settings,
            use_locks=0,
            digests={} if digests is None else {name: digests},
            allow_missing_digests=digests is None,
        )
    if done and (DISTDIR / name).exists():
        leave(name, keep=(name,))
        os.chown(DISTDIR / name, 0, 0)
        (DISTDIR / name).chmod(0o644)
        return
    reason = classify_fetch(captured.text)
    # An interrupted download can be resumed.
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
