"""What a package's layer holds, by name: what another package's layer can be in the way of.

Names are paths relative to the root, without a leading slash. A layer is read once; what two layers
have to do with each other is decided from their names alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from cloche.layers import Layer
from cloche.seeds.contents import Line, parse_contents

VDB = "var/db/pkg"

Attributes = tuple[int, int, int]
"""Mode, uid and gid of a directory."""


@dataclass(frozen=True, slots=True)
class Footprint:
    """The names of a layer, and those that its package owns.

    ``directories`` and ``others`` are the layer's own, ``others`` being all that is not a
    directory, whiteouts included. ``owned`` are the paths in CONTENTS that are not directories, as
    the ebuild wrote them: through a link they lead elsewhere. What no package owns is ``written``,
    or taken away, by hooks. ``indirect`` are the directories of CONTENTS that the layer does not
    have under that name, since a link leads there.
    """

    directories: Mapping[str, Attributes]
    others: frozenset[str]
    owned: frozenset[str]
    written: frozenset[str]
    indirect: tuple[str, ...]


@lru_cache(maxsize=128)
def footprint(layer: Layer) -> Footprint:
    """Read a layer. Raises OSError."""
    directories: dict[str, Attributes] = {}
    others: set[str] = set()
    todo = [(os.fspath(layer.path), "")]
    while todo:
        place, prefix = todo.pop()
        with os.scandir(place) as names:
            for item in names:
                name = prefix + item.name
                if item.is_dir(follow_symlinks=False):
                    info = item.stat(follow_symlinks=False)
                    directories[name] = (info.st_mode, info.st_uid, info.st_gid)
                    todo.append((item.path, f"{name}/"))
                else:
                    others.add(name)
    owned: set[str] = set()
    above: set[str] = set()
    for _, line in contents(layer.path):
        name = relative(line)
        if line.kind == "dir":
            above.add(name)
        else:
            owned.add(name)
            above.add(name.rpartition("/")[0])
    indirect = tuple(sorted(above - directories.keys() - {""}))
    written = frozenset(name for name in others - owned if not name.startswith(f"{VDB}/"))
    return Footprint(directories, frozenset(others), frozenset(owned), written, indirect)


def contents(tree: Path) -> Iterator[tuple[str, Line]]:
    """Pairs of CPV and line out of all CONTENTS files of a tree's VDB."""
    for file in sorted((tree / VDB).glob("*/*/CONTENTS")):
        for line in parse_contents(file.read_bytes()):
            yield f"{file.parts[-3]}/{file.parts[-2]}", line


def relative(line: Line) -> str:
    """The name of a line of CONTENTS."""
    return os.fsdecode(line.path.strip(b"/"))
