"""The installed packages of a target as a layer: a VDB that hides the seed's, and world files.

Portage in a sandbox over it resolves as it does on the target.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from cloche.composing.footprint import entries
from cloche.layers import SOURCE_DATE_EPOCH, Layer, commit, stored_layer
from cloche.plan.names import cp_of
from cloche.store import Outcome, Store, make_key, remember
from cloche.store.tree import read_file
from cloche.targets.description import Description
from cloche.targets.etc import slot_of, use_of
from cloche.targets.levels import Seen

VDB = "var/db/pkg"
WORLD = "var/lib/portage"
_OPAQUE = "user.overlay.opaque"  # overlayfs with userxattr: nothing below shows through


def vdb_layer(store: Store, description: Description) -> Layer:
    """The layer with what is installed on the target. Raises OSError, StoreError."""
    whole = (description.packages, description.world, description.world_sets)
    content = msgspec.json.encode(whole, order="deterministic")
    key = make_key(
        "target-vdb",
        {
            "content": hashlib.sha256(content).hexdigest(),
            "code": hashlib.sha256(Path(__file__).read_bytes()).hexdigest(),
        },
    )
    done = remember(store, key, "target", lambda: Outcome({"layer": _made(store, description).id}))
    return stored_layer(store, done.action.outputs["layer"])


def _made(store: Store, description: Description) -> Layer:
    with store.workspace("target") as room:
        tree = room / "root"
        _directory(tree)
        for name in ("var", "var/db", VDB, "var/lib", WORLD):
            _directory(tree / name)
        os.setxattr(tree / VDB, _OPAQUE, b"y")
        for cpv, entry in description.packages.items():
            _write_entry(tree / VDB / cpv, cpv, entry)
        _write(tree / WORLD / "world", "".join(f"{atom}\n" for atom in description.world))
        _write(tree / WORLD / "world_sets", "".join(f"{s}\n" for s in description.world_sets))
        for top, directories, files in os.walk(tree, topdown=False):
            for name in (*files, *directories):
                os.utime(Path(top, name), (SOURCE_DATE_EPOCH, SOURCE_DATE_EPOCH))
        return commit(store, tree, kind="target-vdb", label="target", rules={})


def _write_entry(place: Path, cpv: str, entry: Mapping[str, str]) -> None:
    if not place.parent.is_dir():
        _directory(place.parent)
    _directory(place)
    category, _, pf = cpv.partition("/")
    fixed = {"CATEGORY": category, "PF": pf, "COUNTER": "0", "CONTENTS": ""}
    for name, text in {**entry, **fixed}.items():
        if text or name in fixed:
            _write(place / name, f"{text}\n" if text else "")


def _directory(path: Path) -> None:
    path.mkdir()
    path.chmod(0o755)


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", errors="surrogateescape")
    path.chmod(0o644)


def installed_of(description: Description) -> dict[str, Seen]:
    """The installed packages of a target, by CPV."""
    return {cpv: seen_entry(cpv, entry) for cpv, entry in description.packages.items()}


def installed_in(trees: tuple[Path, ...]) -> dict[str, Seen]:
    """The installed packages of a seed, by CPV: those of the VDBs in its trees."""
    found = {}
    for tree in trees:
        for cpv in entries(tree):
            if not cpv.partition("/")[2].startswith("-MERGING-"):
                texts = {name: _text(tree, cpv, name) for name in ("SLOT", "IUSE", "USE")}
                found[cpv] = seen_entry(cpv, texts)
    return found


def _text(tree: Path, cpv: str, name: str) -> str:
    """What a file of an entry holds; nothing of a link, which may lead out of the tree."""
    try:
        return read_file(tree, os.fsencode(f"{VDB}/{cpv}/{name}")).decode(errors="replace")
    except OSError:
        return ""


def seen_entry(cpv: str, entry: Mapping[str, str]) -> Seen:
    """A package as builds see it, by the files of its VDB entry, or the lines of an index."""
    cp = cp_of(cpv)
    return Seen(cp, *slot_of(entry), cpv[len(cp) + 1 :], use_of(entry))
