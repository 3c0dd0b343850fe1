"""Merges images into roots by Portage's own code, one for each line of standard input.

Run inside of a seed by the seed's Python; ``sys.argv`` has the directory of cloche's guest code,
that of the root, and "seed" or "own". A line is a CPV; its image lies in ``run/image`` of the root,
and its build-info in ``run/info``. The answer is a JSON object with ``refused``: a reason, or null.
A child enters the root by chroot(2) and merges to ``/``, as emerge does there; or it stays outside
of a root of its own, as ``emerge --root`` does.

The packages have no phases, so no shell is started for them. All else is Portage's merge as it is.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any

GUEST, ROOT, WHOSE = sys.argv[1:]
sys.path.insert(0, GUEST)
from guest import settings as guest_settings  # noqa: E402

os.environ["SOURCE_DATE_EPOCH"] = "0"
guest_settings.apply(**guest_settings.MERGING)

import portage  # noqa: E402

portage._internal_caller = True
from portage.dbapi import vartree as portage_vartree  # noqa: E402
from portage.dbapi.virtual import fakedbapi  # noqa: E402
from portage.versions import _pkg_str  # noqa: E402


class NoPhase:
    """A phase that no ebuild defines."""

    def __init__(self, **_: Any) -> None: ...

    def start(self) -> None:
        """Do nothing."""

    def wait(self) -> int:
        """Say that this worked."""
        return os.EX_OK


portage_vartree.EbuildPhase = portage_vartree.MiscFunctionsProcess = NoPhase
SETTINGS = {root: portage.config(config_root="/", target_root=root) for root in ("/", ROOT)}


def merge(cpv: str, root: str = "/") -> str | None:
    """Merge one package to a root; give why Portage did not, or None."""
    category, pf = cpv.split("/")
    settings = portage.config(clone=SETTINGS[root])
    tree = portage_vartree.vartree(settings=settings)
    database = fakedbapi(settings)
    metadata = {"EAPI": "8", "SLOT": "0", "repository": "r", "KEYWORDS": "amd64"}
    database.cpv_inject(_pkg_str(cpv, metadata=metadata, settings=settings), metadata)
    settings.setcpv(cpv, mydb=database)
    settings["EMERGE_FROM"] = "binary"
    package = portage_vartree.dblink(
        category, pf, settings=settings, treetype="bintree", vartree=tree, blockers=[]
    )
    run = Path(root, "run")
    ebuild = f"{run}/info/{pf}.ebuild"
    try:
        status = package.merge(
            f"{run}/image", f"{run}/info", myebuild=ebuild, mydbapi=database, prev_mtimes={}
        )
    except OSError as error:
        return f"error: {error}"
    return None if status == os.EX_OK else f"status {status}"


def in_child(cpv: str, root: str) -> str:
    """Merge in a child; give its answer."""
    reader, writer = os.pipe()
    if os.fork() == 0:
        try:
            if WHOSE == "seed":
                os.chroot(root)
                os.chdir("/")
                root = "/"
            answer = json.dumps({"refused": merge(cpv, root)})
        except BaseException:
            answer = json.dumps({"broken": traceback.format_exc()})
        os.write(writer, answer.encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as stream:
        answer = stream.read()
    os.wait()
    return answer


def main() -> None:
    """Answer lines until they end; what Portage says goes to standard error."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    # A root has no Python: all that Portage imports on the way is there after one merge in here.
    for name in ("image/warm", "info"):
        Path("/run", name).mkdir(parents=True)
    Path("/run/image/warm/up").touch()
    Path("/run/info/w-1.ebuild").write_text("EAPI=8\n", encoding="ascii")
    merge("c/w-1")
    for line in sys.stdin:
        answers.write(in_child(line.strip(), ROOT) + "\n")
        answers.flush()


main()
