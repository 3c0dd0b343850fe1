"""The layers of an OCI image, made of those of a machine's root (OCI image-spec, layer.md).

A registry and its clients keep and send whole layers, so a change should be in few small ones:
layers of the root are put together to groups, whose borders depend on the names of packages alone.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from cloche.archives.tarformat import Member
from cloche.archives.tarwriting import TarWriter
from cloche.building.context import BuildContext
from cloche.errors import ClocheError, Exit
from cloche.layers import SOURCE_DATE_EPOCH, Layer, flatten, merge_layers
from cloche.plan.names import cp_of
from cloche.store import Entry, Outcome, make_key, remember, walk
from cloche.store.tree import OPAQUE

MOST = 100  # container engines stop at 127, and the mounts of some at fewer
_LARGE = 8 << 20  # bytes: such a layer is a group of its own
FORMAT = "1"  # raise it when layers are written in another way
_WHITEOUT, _OPAQUE = b".wh.", b".wh..wh..opq"


@dataclass(frozen=True, slots=True)
class OciLayer:
    """A compressed layer: its blob in the store, whose ID is its digest, and its size in bytes.

    ``diff_id`` is the SHA-256 of what was compressed, ``made_of`` names its parts.
    """

    blob: str
    size: int
    diff_id: str
    made_of: tuple[str, ...]


def groups(layers: Sequence[Layer], most: int = MOST) -> tuple[tuple[Layer, ...], ...]:
    """Divide a root's layers, the bottom first, to at most that many groups of neighbours.

    A new version of a small package changes no border.
    """
    every = 1
    while True:
        found = tuple(_groups(layers, every))
        if len(found) <= most:
            return found
        every *= 2


def _groups(layers: Sequence[Layer], every: int) -> Iterator[tuple[Layer, ...]]:
    """Groups of ``every`` small layers on average; each large one is alone, while there are few."""
    group = list[Layer]()
    for layer in layers:
        large = layer.size >= _LARGE * max(1, every // 16)
        if group and (large or group[-1].kind != layer.kind):
            yield tuple(group)
            group.clear()
        group.append(layer)
        if large or not zlib.crc32(cp_of(layer.label).encode()) % every:
            yield tuple(group)
            group.clear()
    if group:
        yield tuple(group)


def oci_layer(context: BuildContext, group: Sequence[Layer], *, whole: bool = False) -> OciLayer:
    """Make a layer of a group, or take the one that was made before.

    A ``whole`` root has nothing below it, and so no marks of what was deleted. Raises ClocheError.
    """
    parts = {f"layer {number}": layer.id for number, layer in enumerate(group)}
    kept = {"whole": "yes"} if whole else {}
    key = make_key("oci layer", {**parts, **kept, "format": FORMAT})
    machine = context.inputs.machine
    action = remember(
        context.store, key, machine, lambda: _made(context, group, whole), kind="oci layer"
    ).action
    blob = context.store.blob(action.outputs["layer"])
    made_of = tuple(f"{layer.kind} {layer.label}" for layer in group)
    return OciLayer(blob.id, blob.size, action.data["diff_id"], made_of)


def _made(context: BuildContext, group: Sequence[Layer], whole: bool) -> Outcome:
    with context.store.workspace("image") as workspace:
        tree, file = group[0].path, workspace / "layer.tar.gz"
        if whole or len(group) > 1:
            tree = workspace / "merged"
            (flatten if whole else merge_layers)([layer.path for layer in group], tree)
        diff_id = write_layer(tree, file)
        blob = context.store.add_blob(file, f"{group[-1].label}.tar.gz")
    return Outcome({"layer": blob.id}, data={"diff_id": diff_id})


class _Digesting:
    """A stream that digests what is written to another one."""

    def __init__(self, stream: gzip.GzipFile) -> None:
        self._stream = stream
        self.digest = hashlib.sha256()

    def write(self, data: bytes, /) -> int:
        self.digest.update(data)
        return self._stream.write(data)


def write_layer(tree: Path, file: Path) -> str:
    """Write a tree of the store as a compressed layer; return the SHA-256 of what is compressed.

    Raises ClocheError for a name that an OCI layer cannot have, OSError.
    """
    with file.open("xb") as out, gzip.GzipFile("", "wb", 6, out, mtime=0) as packed:
        digesting = _Digesting(packed)
        writer = TarWriter(digesting)
        for entry in walk(tree, content=False):
            for member in _members(entry):
                if member.type == "file" and member.size:
                    with _content(tree, entry) as content:
                        writer.add(member, content.read)
                else:
                    writer.add(member)
        writer.end()
    return digesting.digest.hexdigest()


def _content(tree: Path, entry: Entry) -> BinaryIO:
    path = os.path.join(os.fsencode(tree), entry.path)  # noqa: PTH118 - bytes
    return open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb")


def _members(entry: Entry) -> Iterator[Member]:
    """What a layer has for a name of a tree: a mark for a deleted one, nothing for a socket."""
    above, slash, name = entry.path.rpartition(b"/")
    if name.startswith(_WHITEOUT):
        raise ClocheError(
            "its name means a deleted file in an OCI image",
            where=f"/{os.fsdecode(entry.path)}",
            todo="remove it by `remove` of a [[finish]] step",
            status=Exit.FAILED,
        )
    mtime_ns = min(entry.mtime_ns, SOURCE_DATE_EPOCH * 10**9)
    if entry.whiteout:
        yield _mark(above + slash + _WHITEOUT + name)
    elif entry.type != "socket":
        yield Member(
            name=entry.path or b".",
            type="link" if entry.link is not None else entry.type,
            mode=entry.mode,
            uid=entry.uid,
            gid=entry.gid,
            mtime_ns=mtime_ns,
            size=entry.size if entry.type == "file" and entry.link is None else 0,
            target=(entry.link if entry.link is not None else entry.target) or b"",
            device=(os.major(entry.rdev), os.minor(entry.rdev)),
            xattrs=tuple(each for each in entry.xattrs if each[0] != OPAQUE),
        )
        if (OPAQUE, b"y") in entry.xattrs:
            yield _mark(b"/".join(filter(None, (entry.path, _OPAQUE))))


def _mark(name: bytes) -> Member:
    return Member(name, "file", 0o644, 0, 0, SOURCE_DATE_EPOCH * 10**9)
