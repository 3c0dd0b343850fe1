"""Which of the files that differ in a root are those of packages, as their CONTENTS says.

A file is a package's only as the package brought it: one that was changed later is the user's own.
The VDB is untrusted here: its names are looked up in the root, and nothing else is read.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from cloche.composing.places import Places, look_of
from cloche.layers import Merged
from cloche.layers.merge import Node, open_node
from cloche.seeds.parts.contents import Line, parse_contents

#: What env-update says in the first line of each file that it writes.
_GENERATED: Final = b"env-update"
_FIRST: Final = 200  # bytes
_CHUNK: Final = 1 << 20  # bytes


def owners(view: Merged, entries: Mapping[str, bytes], names: Iterable[str]) -> dict[str, str]:
    """The package of each of these files that is one's, as it was brought.

    ``entries`` are the texts of CONTENTS by the names of packages.
    """
    files = set(names)
    wanted = {os.fsencode(name).rpartition(b"/")[2] for name in files}
    places, found = Places(look_of(view)), {}
    for package, contents in entries.items():
        for text in contents.split(b"\n"):
            for line in parse_contents(text):
                if line.kind == "dir" or line.path.rpartition(b"/")[2] not in wanted:
                    continue
                real = places.place(os.fsdecode(line.path).lstrip("/")).real
                if real in files and _is_as_brought(view, real, line, text):
                    found[real] = package
    return found


def _is_as_brought(view: Merged, name: str, line: Line, text: bytes) -> bool:
    node = view.lookup(os.fsencode(name))
    if node is None:
        return False
    if line.kind == "sym":
        return stat.S_ISLNK(node.info.st_mode) and _target(node) in _targets(line)
    if line.kind != "obj":
        return True
    if not stat.S_ISREG(node.info.st_mode):
        return False
    digest = hashlib.md5(usedforsecurity=False)
    with open_node(node) as file:
        for chunk in iter(lambda: file.read(_CHUNK), b""):
            digest.update(chunk)
    return text.rsplit(b" ", 2)[1:2] == [digest.hexdigest().encode()]


def _target(node: Node) -> bytes:
    return os.fsencode(Path(os.fsdecode(node.origin)).readlink())


def _targets(line: Line) -> set[bytes]:
    return {line.target, *(target for _, target in line.others)}


def is_generated(node: Node) -> bool:
    """Whether a file is one that env-update writes: it says what other files say."""
    if not stat.S_ISREG(node.info.st_mode):
        return False
    with open_node(node) as file:
        return _GENERATED in file.read(_FIRST).partition(b"\n")[0]
