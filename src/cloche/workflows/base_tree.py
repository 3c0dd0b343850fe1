"""The base tree of an image of mkosi: a machine's tarball, unpacked, and what it was made of."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from cloche.archives import ImportOptions, import_tarball
from cloche.errors import ClocheError, unwritable

BASE = "base"
RECORD = "base.json"
#: What of a project decides about the tree; the store knows the rest.
INPUTS = ("cloche.toml", "cloche.lock", "machines", "portage", "sets", "patches")


def inputs_of(project: Path) -> str:
    """A digest of a project's files. Raises ClocheError."""
    digest = hashlib.sha256()
    try:
        for name in INPUTS:
            top = project / name
            for path in sorted(top.rglob("*")) if top.is_dir() else (top,):
                if path.is_file():
                    content = hashlib.sha256(path.read_bytes()).hexdigest()
                    digest.update(f"{path.relative_to(project)}\0{content}\n".encode())
    except OSError as error:
        raise ClocheError(f"cannot be read: {error.strerror}", where=error.filename) from error
    return digest.hexdigest()


def is_current(project: Path) -> bool:
    """Whether the base tree is there, and of these files."""
    there = (project / BASE).exists()
    return there and record_of(project).get("inputs") == inputs_of(project)


def record_of(project: Path) -> Mapping[str, str]:
    """What is noted of the base tree; nothing if there is none."""
    try:
        found = json.loads((project / RECORD).read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def lay_out(project: Path, tarball: Path, blob: str, *, unpack: bool) -> bool:
    """Make the base tree of a tarball, whose ID is ``blob``, unless it is that already.

    Without ``unpack`` it is a link to the tarball, which mkosi unpacks itself: of an ordinary
    user's tree it would not have the owners. Tells whether something was done. Raises ClocheError.
    """
    base, new = project / BASE, project / f".{BASE}.new"
    kind = "directory" if unpack else "tarball"
    before = record_of(project)
    fresh = not base.exists() or (before.get("tree"), before.get("kind")) != (blob, kind)
    try:
        if fresh:
            (project / RECORD).unlink(missing_ok=True)
            _remove(new)
            if unpack:
                import_tarball(tarball, new, ImportOptions(devices="make"))
            else:
                new.symlink_to(os.path.relpath(tarball, project))
            _remove(base)
            new.rename(base)
        record = {"tree": blob, "kind": kind, "inputs": inputs_of(project)}
        (project / RECORD).write_text(json.dumps(record, indent=2) + "\n")
    except OSError as error:
        todo = "make room there, or give yourself the right to write"
        raise unwritable(error.filename or project, error, todo) from error
    return fresh


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
