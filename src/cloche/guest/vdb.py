"""Normalises VDB entries, so that they do not depend on where and when a package is merged."""

from __future__ import annotations

import bz2
import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

from . import settings as guest_settings
from .normalise import still_environment

VDB = "var/db/pkg"
#: Portage's snapshot of the one-line fields, valid for one time stamp of the directory.
METADATA = "metadata"


def sorted_contents(lines: Iterable[str]) -> list[str]:
    """Sort the lines of a CONTENTS file by path; Portage writes them in the file system's order."""
    return sorted(lines, key=lambda line: _path(line).split("/"))


def _path(line: str) -> str:
    kind, _, rest = line.rstrip("\n").partition(" ")
    if kind == "obj":
        return rest.rsplit(" ", 2)[0]
    if kind == "sym":
        return rest.split(" -> ", 1)[0]
    return rest


def clamp_contents(lines: Iterable[str], epoch: int, root: Path) -> list[str]:
    """Limit the time stamps in CONTENTS, and those of the files, to ``epoch``.

    Later ones exist because Portage makes symbolic links when it merges, and hooks write files.
    """
    clamped = []
    for line in lines:
        kind = line[:4]
        before, _, stamp = line.rstrip("\n").rpartition(" ")
        if kind in ("obj ", "sym ") and int(stamp) > epoch:
            with contextlib.suppress(FileNotFoundError):
                os.utime(root / _path(line)[1:], (epoch, epoch), follow_symlinks=False)
            clamped.append(f"{before} {epoch}\n")
        else:
            clamped.append(line if line.endswith("\n") else line + "\n")
    return clamped


def settle(root: Path, cpv: str, counter: int) -> None:
    """Give the entry of a package in ``root`` its COUNTER, sorted CONTENTS and a fixed time stamp.

    The environment that a hook saved is normalised.
    """
    entry, epoch = root / VDB / cpv, guest_settings.epoch()
    contents = entry / "CONTENTS"
    if contents.exists():
        lines = contents.read_text(encoding="utf-8").splitlines(keepends=True)
        lines = sorted_contents(clamp_contents(lines, epoch, root))
        contents.write_text("".join(lines), encoding="utf-8")
    environment = entry / "environment.bz2"
    if environment.exists():
        saved = environment.read_bytes()
        still = still_environment(bz2.decompress(saved))
        environment.write_bytes(bz2.compress(still, 9))
    number(root, cpv, counter)
    for file in entry.iterdir():
        os.utime(file, (epoch, epoch), follow_symlinks=False)
    os.utime(entry, (epoch, epoch))


def number(root: Path, cpv: str, counter: int) -> None:
    """Give a settled entry its COUNTER; its directory keeps the fixed time stamp.

    The snapshot is made valid for this time stamp, so it stays valid in copies that keep it. No
    other file is touched, as a root would then have a copy of it.
    """
    entry, epoch = root / VDB / cpv, guest_settings.epoch()
    snapshot = entry / METADATA
    known = _renumbered(snapshot, counter, epoch)
    (entry / "COUNTER").write_text(str(counter), encoding="ascii")
    if known is None:
        _consolidate(entry, epoch)
    else:
        snapshot.write_text(known, encoding="utf-8")
    for file in (snapshot, entry / "COUNTER", entry):
        if file.exists():
            os.utime(file, (epoch, epoch))


def _renumbered(snapshot: Path, counter: int, epoch: int) -> str | None:
    """A snapshot that was made for the fixed time stamp, with another COUNTER; None if it was not.

    This is what Portage would write, without reading each of the entry's files again.
    """
    try:
        lines = snapshot.read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    places = [place for place, line in enumerate(lines) if line.startswith("COUNTER=")]
    if lines[-1:] != [f"#dir_mtime={epoch * 10**9}"] or len(places) != 1:
        return None
    lines[places[0]] = f"COUNTER={counter}"
    return "\n".join(lines) + "\n"


def _consolidate(entry: Path, epoch: int) -> None:
    """Have Portage make the snapshot of an entry."""
    from portage.dbapi.vartree import _consolidate_to_metadata_file

    (entry / METADATA).unlink(missing_ok=True)
    _consolidate_to_metadata_file(str(entry))
    _stamp(entry / METADATA, epoch)


def _stamp(snapshot: Path, epoch: int) -> None:
    """Write the directory's future time stamp to the last line of the snapshot."""
    if snapshot.exists():
        lines = snapshot.read_text(encoding="utf-8").splitlines()
        fields = [line for line in lines if not line.startswith("#dir_mtime=")]
        fields.append(f"#dir_mtime={epoch * 10**9}")
        snapshot.write_text("\n".join(fields) + "\n", encoding="utf-8")
