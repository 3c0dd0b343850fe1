"""Settling an entry of the VDB: the same package leaves the same files, wherever and whenever."""

from __future__ import annotations

import bz2
import os
from collections.abc import Iterable
from pathlib import Path

from .normalise import still_environment

VDB = Path("/var/db/pkg")
#: Portage's snapshot of the one-line fields, valid as long as the directory's time stamp is.
METADATA = "metadata"


def sorted_contents(lines: Iterable[str]) -> list[str]:
    """The lines of a CONTENTS file by path; Portage writes them as the file system lists them."""
    return sorted(lines, key=lambda line: _path(line).split("/"))


def _path(line: str) -> str:
    kind, _, rest = line.rstrip("\n").partition(" ")
    if kind == "obj":
        return rest.rsplit(" ", 2)[0]
    if kind == "sym":
        return rest.split(" -> ", 1)[0]
    return rest


def settle(entry: Path, counter: int, epoch: int) -> None:
    """Give ``entry`` its COUNTER, an order and one time stamp.

    What a hook saved of its environment is stripped of the moment. The snapshot is made anew, with
    the time stamp that the directory has from now on: it stays valid where a copy keeps that.
    """
    from portage.dbapi.vartree import _consolidate_to_metadata_file

    (entry / METADATA).unlink(missing_ok=True)
    (entry / "COUNTER").write_text(str(counter), encoding="ascii")
    contents = entry / "CONTENTS"
    if contents.exists():
        lines = contents.read_text(encoding="utf-8").splitlines(keepends=True)
        if lines and not lines[-1].endswith("\n"):
            lines[-1] += "\n"
        contents.write_text("".join(sorted_contents(lines)), encoding="utf-8")
    environment = entry / "environment.bz2"
    if environment.exists():
        saved = environment.read_bytes()
        still = still_environment(bz2.decompress(saved))
        environment.write_bytes(bz2.compress(still, 9))
    _consolidate_to_metadata_file(str(entry))
    _stamp(entry / METADATA, epoch)
    for file in entry.iterdir():
        os.utime(file, (epoch, epoch), follow_symlinks=False)
    os.utime(entry, (epoch, epoch))


def _stamp(snapshot: Path, epoch: int) -> None:
    """Put the time stamp that the directory is going to have into the snapshot's last line."""
    if snapshot.exists():
        lines = snapshot.read_text(encoding="utf-8").splitlines()
        fields = [line for line in lines if not line.startswith("#dir_mtime=")]
        fields.append(f"#dir_mtime={epoch * 10**9}")
        snapshot.write_text("\n".join(fields) + "\n", encoding="utf-8")
