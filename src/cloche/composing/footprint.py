"""The names of a package's layer, by which conflicts between layers are found.

Names are paths relative to the root, without a leading slash. A layer is read once; conflicts
between two layers are decided by names alone.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from cloche.layers import Layer, is_whiteout
from cloche.seeds.parts.contents import parse_contents
from cloche.store.tree import read_file

VDB = "var/db/pkg"
NAME_MAX = 256  # bytes: more than a name can have (limits.h)

# As `parse_contents`, but faster: all lines of a machine are read here.
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
    the ebuild wrote them: through a link they lead elsewhere. Names without an owner are
    ``written``, or removed, by hooks. ``indirect`` are the directories of CONTENTS that the layer
    does not have under that name, as they existed, or a link leads there; all of them, if Portage
    made a backup of something. ``astray`` are the last parts of owned paths in such directories.
    ``gone`` are the whiteouts: what the merge of the package removed.
    """

    directories: Mapping[str, Attributes]
    others: frozenset[str]
    owned: frozenset[str]
    written: frozenset[str]
    indirect: frozenset[str]
    astray: frozenset[str]
    gone: frozenset[str] = frozenset()

    def may_own(self, name: str) -> bool:
        """Whether the package may own a name, also through a link."""
        return name in self.owned or name.rpartition("/")[2] in self.astray


@lru_cache(maxsize=128)
def footprint(layer: Layer) -> Footprint:
    """Read a layer. Raises OSError."""
    directories: dict[str, Attributes] = {}
    others: set[str] = set()
    gone: set[str] = set()
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
                    continue
                others.add(name)
                plain = item.is_file(follow_symlinks=False) or item.is_symlink()
                if not plain and is_whiteout(item.stat(follow_symlinks=False)):
                    gone.add(name)
    above, owned = _claimed(layer)
    # Where Portage made a backup, another root may have something else.
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
        frozenset(gone),
    )


def _claimed(layer: Layer) -> tuple[set[str], set[str]]:
    """Directories, and names of all else, in the CONTENTS of a layer's package, or packages."""
    above: set[str] = set()
    owned: set[str] = set()
    for cpv in (layer.label,) if layer.kind == "package" else entries(layer.path):
        for directory, *others in _LINE.findall(os.fsdecode(read_contents(layer.path, cpv))):
            if directory:
                above.add(directory)
            else:
                owned.add("".join(others))
    above, owned = set(filter(_is_name, above)), set(filter(_is_name, owned))
    above.update(name.rpartition("/")[0] for name in owned)
    return above, owned


def contents(tree: Path, cpv: str) -> Iterator[tuple[str, str]]:
    """Pairs of kind and name from a package's CONTENTS in a tree's VDB."""
    for line in parse_contents(read_contents(tree, cpv)):
        name = os.fsdecode(line.path.strip(b"/"))
        if _is_name(name):
            yield line.kind, name


def read_contents(tree: Path, cpv: str) -> bytes:
    """The CONTENTS of a package in a tree's VDB, without following a link; empty without one."""
    try:
        return read_file(tree, os.fsencode(f"{VDB}/{cpv}/CONTENTS"))
    except OSError:  # hooks can replace it by anything
        return b""


def entries(tree: Path) -> list[str]:
    """The CPVs of all packages that have an entry in a tree's VDB."""
    if any((tree / way).is_symlink() for way in ("var", "var/db", VDB)):
        return []
    return sorted(
        f"{category.name}/{entry.name}"
        for category in _directories(tree / VDB)
        for entry in _directories(category.path)
    )


def _directories(place: str | Path) -> Iterator[os.DirEntry[str]]:
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(place) as found:
        yield from (each for each in found if each.is_dir(follow_symlinks=False))


def _is_name(name: str) -> bool:
    """Whether a path from CONTENTS is valid: an ebuild's hooks may have written that file."""
    return "\0" not in name and all(
        part not in ("", ".", "..") and len(os.fsencode(part)) < NAME_MAX
        for part in name.split("/")
    )
