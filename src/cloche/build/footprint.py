"""What a package's layer holds, by name: what another package's layer can be in the way of.

Names are paths relative to the root, without a leading slash. A layer is read once; what two layers
have to do with each other is decided from their names alone.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from cloche.layers import Layer
from cloche.seeds.contents import Line, parse_contents

VDB = "var/db/pkg"

# As `parse_contents` reads them; all lines of a machine are read here, so it has to be quick.
_LINE = re.compile(
    r"^(?:dir /(.+)|obj /(.+) \S+ \S+|sym /(.+) -> .+ \S+|(?:fif|dev) /(.+))$", re.MULTILINE
)
_ASIDE = re.compile(r"\.backup\.\d{4}$")  # dblink._new_backup_path

Attributes = tuple[int, int, int]
"""Mode, uid and gid of a directory."""


@dataclass(frozen=True, slots=True)
class Footprint:
    """The names of a layer, and those that its package owns.

    ``directories`` and ``others`` are the layer's own, ``others`` being all that is not a
    directory, whiteouts included. ``owned`` are the paths in CONTENTS that are not directories, as
    the ebuild wrote them: through a link they lead elsewhere. What no package owns is ``written``,
    or taken away, by hooks. ``indirect`` are the directories of CONTENTS that the layer does not
    have under that name: they were there, or a link leads there; all of them, where Portage put
    something aside. ``astray`` are the last parts of owned paths in such directories.
    """

    directories: Mapping[str, Attributes]
    others: frozenset[str]
    owned: frozenset[str]
    written: frozenset[str]
    indirect: frozenset[str]
    astray: frozenset[str]

    def may_own(self, name: str) -> bool:
        """Whether a name may be the package's own, also where a link leads there."""
        return name in self.owned or name.rpartition("/")[2] in self.astray


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
    above, owned = _claimed(layer.path)
    # Where Portage put aside what was in its way, another root may have something else there.
    aside = any(map(_ASIDE.search, others)) or any(map(_ASIDE.search, directories))
    indirect = frozenset((above if aside else above - directories.keys()) - {""})
    parts = (name.rpartition("/") for name in owned)
    return Footprint(
        directories,
        frozenset(others),
        frozenset(owned),
        frozenset(name for name in others - owned if not name.startswith(f"{VDB}/")),
        indirect,
        frozenset(last for above, _, last in parts if above in indirect),
    )


def _claimed(tree: Path) -> tuple[set[str], set[str]]:
    """Directories, and names of all else, in the CONTENTS of a layer."""
    above: set[str] = set()
    owned: set[str] = set()
    for file in (tree / VDB).glob("*/*/CONTENTS"):
        for directory, *others in _LINE.findall(os.fsdecode(file.read_bytes())):
            if directory:
                above.add(directory)
            else:
                owned.add("".join(others))
    above.update(name.rpartition("/")[0] for name in owned)
    return above, owned


def contents(tree: Path) -> Iterator[tuple[str, Line]]:
    """Pairs of CPV and line out of all CONTENTS files of a tree's VDB."""
    for file in sorted((tree / VDB).glob("*/*/CONTENTS")):
        for line in parse_contents(file.read_bytes()):
            yield f"{file.parts[-3]}/{file.parts[-2]}", line


def relative(line: Line) -> str:
    """The name of a line of CONTENTS."""
    return os.fsdecode(line.path.strip(b"/"))
