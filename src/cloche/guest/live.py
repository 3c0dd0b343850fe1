"""Fetches the sources of a live ebuild: runs its pkg_setup and src_unpack with network access.

This is the only script that runs an ebuild with a network: a proxy of the host, which the user has
allowed. It is not part of any key, because the fetched sources are.
"""

from __future__ import annotations

import sys
from pathlib import Path

if not __package__:
    sys.path.insert(0, str(Path(__file__).parents[1]))
    __package__ = "guest"

import subprocess
from typing import Any

from . import build, leftovers, phases, relay
from . import settings as guest_settings
from .protocol import Channel, serve

GIT_STORE = Path(guest_settings.ENVIRONMENT["DISTDIR"]) / "git3-src"


def main(request: dict[str, Any], channel: Channel) -> dict[str, Any]:
    """Answer a request of the protocol."""
    proxies = dict.fromkeys(("http_proxy", "https_proxy", "ftp_proxy"), relay.start())
    guest_settings.apply(
        request["root"], **request["environment"], **proxies, no_proxy="", GIT_TERMINAL_PROMPT="0"
    )
    settings, trees = phases.load(refreshed=True)
    package = phases.ebuild_package(request["cpv"], request["repo"], settings, trees)
    own = build.package_settings(package, settings, trees)
    build.check_use(request.get("use"), own)
    build.check_distfiles(own)
    with leftovers.ended(channel):
        for phase in ("setup", "unpack"):
            build.run(phase, own, channel)
    return {"commits": commits(GIT_STORE)}


def commits(store: Path) -> list[dict[str, str]]:
    """The commits that git-r3.eclass checked out, by the refs of each repository in its store."""
    found = set()
    for repository in sorted(store.glob("*/")):
        command = ["git", f"--git-dir={repository}", "for-each-ref"]
        command += ["--format=%(objectname) %(refname)", "refs/git-r3"]
        answer = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        for line in answer.stdout.splitlines():
            commit, _, ref = line.partition(" ")
            if ref.endswith("/__main__"):
                found.add((repository.name, commit))
    return [{"repository": name, "commit": commit} for name, commit in sorted(found)]


if __name__ == "__main__":
    serve(main)
