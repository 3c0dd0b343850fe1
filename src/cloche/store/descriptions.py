"""What each tree and blob is, in a small file apart from the index, for when that is lost.

``about/layer-ID.json`` and ``about/blob-ID.json`` hold the columns of the index's row. They are
written before the object is in its place, so a tree in its place has one. Nobody trusts them: the
content is read and compared with the digest before anything follows from one.
"""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

from cloche.store.records import Blob, Tree

_TREE = {"id": str, "kind": str, "label": str, "exact": str, "files": int, "size": int}
_BLOB = {"id": str, "label": str, "size": int}
_LIMIT = 1 << 16  # bytes; a label is one line


def describe(about: Path, thing: Tree | Blob) -> None:
    """Write the description of an object. Raises OSError."""
    columns = dataclasses.asdict(thing)
    del columns["path"]
    noun = "layer" if isinstance(thing, Tree) else "blob"
    target = about / f"{noun}-{thing.id}.json"
    new = target.with_name(f"{target.name}.{os.urandom(8).hex()}")
    new.write_text(json.dumps(columns, sort_keys=True) + "\n")
    new.rename(target)


def undescribed(about: Path, noun: str, id: str) -> None:
    """Remove the description of an object that was removed; ``noun`` is "layer" or "blob"."""
    (about / f"{noun}-{id}.json").unlink(missing_ok=True)


def described_tree(about: Path, place: Path) -> Tree | None:
    """What the description of the tree in this place says, if there is a whole one."""
    data = _read(about / f"layer-{place.name}.json", _TREE)
    return Tree(**data, path=place) if data and data["id"] == place.name else None


def described_blob(about: Path, place: Path) -> Blob | None:
    """What the description of the blob in this place says, if there is a whole one."""
    data = _read(about / f"blob-{place.name}.json", _BLOB)
    return Blob(**data, path=place) if data and data["id"] == place.name else None


def _read(file: Path, fields: dict[str, type]) -> dict[str, Any] | None:
    try:
        with file.open("rb") as stream:
            data = json.loads(stream.read(_LIMIT))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(data, dict) or data.keys() != {*fields, "created"}:
        return None
    whole = all(type(data[name]) is kind for name, kind in fields.items())
    return data if whole and isinstance(data["created"], float) else None
