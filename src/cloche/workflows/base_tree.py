"""The base tree of an image of mkosi: a machine's tarball, unpacked, and what it was made of.

`cloche mkosi --check` runs in mkosi's sandbox, without a store. So a record beside the tree has
digests of the project's files, and stamps of the repositories and of the tree: names, modes, sizes
and times of what is in them. No content is read for a stamp.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from cloche.archives import replace_directory
from cloche.errors import ClocheError, unwritable
from cloche.store import remove_tree

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


def stamp(top: Path) -> str:
    """A digest of the names, modes, sizes, times and links below a directory, or of a file's.

    Without owners: mkosi's sandbox for scripts has a single user. Raises OSError.
    """
    digest = hashlib.sha256()
    for path in sorted(_below(top)) if top.is_dir() else (top,):
        seen = path.lstat()
        size = 0 if stat.S_ISDIR(seen.st_mode) else seen.st_size
        target = os.fsencode(path.readlink()) if stat.S_ISLNK(seen.st_mode) else b""
        name = os.fsencode(path.relative_to(top.parent))
        digest.update(b"%b\0%o %d %d %b\0" % (name, seen.st_mode, size, seen.st_mtime_ns, target))
    return digest.hexdigest()


def _below(top: Path) -> Iterator[Path]:
    for place, directories, names in os.walk(top, onerror=_raise):
        directories[:] = [name for name in directories if name != ".git"]
        yield from (Path(place, name) for name in (*directories, *names))


def _raise(error: OSError) -> None:
    raise error


def stamps_of(repos: Mapping[str, Path]) -> dict[str, str]:
    """The stamps of those repositories that are there, by name. Raises ClocheError."""
    try:
        return {name: stamp(path) for name, path in sorted(repos.items()) if path.is_dir()}
    except OSError as error:
        raise ClocheError(f"cannot be read: {error.strerror}", where=error.filename) from error


def is_current(project: Path, repos: Mapping[str, Path]) -> bool:
    """Whether the base tree is there, unchanged, and of these files and repositories.

    A repository that is not there now is not compared: mkosi's sandbox may not have it.
    """
    record = record_of(project)
    if not (project / BASE).exists() or record.get("inputs") != inputs_of(project):
        return False
    before, now = record.get("repositories"), stamps_of(repos)
    if not isinstance(before, dict) or any(before.get(name) != now[name] for name in now):
        return False
    return bool(record.get("stamp") == _stamp_of(project / BASE))


def _stamp_of(base: Path) -> str:
    try:
        return stamp(base.resolve())
    except OSError as error:
        raise ClocheError(f"cannot be read: {error.strerror}", where=error.filename) from error


def record_of(project: Path) -> Mapping[str, object]:
    """What is noted of the base tree; nothing if there is none."""
    try:
        found = json.loads((project / RECORD).read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def lay_out(
    project: Path, tarball: Path, blob: str, repos: Mapping[str, Path], *, unpack: bool
) -> bool:
    """Make the base tree of a tarball, whose ID is ``blob``, unless it is that already.

    ``repos`` are the directories of repositories that it was made of, by name.

    Without ``unpack`` it is a link to the tarball, which mkosi unpacks itself: of an ordinary
    user's tree it would not have the owners. Tells whether something was done. Raises ClocheError.
    """
    base = project / BASE
    kind = "directory" if unpack else "tarball"
    before = record_of(project)
    fresh = not base.exists() or (before.get("tree"), before.get("kind")) != (blob, kind)
    fresh = fresh or before.get("stamp") != _stamp_of(base)
    try:
        if fresh:
            (project / RECORD).unlink(missing_ok=True)
            if unpack:
                replace_directory(base, tarball)
            else:
                remove_tree(base)
                base.symlink_to(os.path.relpath(tarball, project))
        record = {
            "tree": blob,
            "kind": kind,
            "inputs": inputs_of(project),
            "repositories": stamps_of(repos),
            "stamp": _stamp_of(base),
        }
        (project / RECORD).write_text(json.dumps(record, indent=2) + "\n")
    except OSError as error:
        todo = "make room there, or give yourself the right to write"
        raise unwritable(error.filename or project, error, todo) from error
    return fresh
