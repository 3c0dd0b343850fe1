"""A seed that was linked from a machine's layers: its parts are the layers of the packages.

Nothing is split. In the order of the machine each layer is right over those below it, also if some
of these are left out: a file that several packages have (hooks write ``/etc/passwd``) is as the
topmost one has it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from cloche.layers import Layer, flatten
from cloche.layers.parts import put_in_place
from cloche.seeds.debian.packages import has_vdb
from cloche.seeds.parts.ownership import VDB
from cloche.store import walk

Names = Mapping[bytes, tuple[int, int, int] | None]
"""The names of a layer: mode, uid and gid of a directory, None for all else."""


def packages(layers: Iterable[Layer]) -> dict[str, Layer]:
    """The layers of a machine's packages by CATEGORY/PF, in its order.

    None where a seed beneath them has packages, too: a layer may replace some of those. Raises
    OSError.
    """
    found = {}
    for layer in layers:
        if layer.kind == "seed" and has_vdb(layer.path):
            return {}
        if layer.kind == "package":
            found[layer.label] = layer
    return found


def names_of(layer: Layer) -> Names:
    """What a layer has. Raises OSError."""
    return {
        entry.path: (entry.mode, entry.uid, entry.gid) if entry.type == "directory" else None
        for entry in walk(layer.path, content=False)
    }


def covers(layers: Mapping[str, Names], ground: Collection[str]) -> dict[str, tuple[str, ...]]:
    """For each package those of the ground that lie above it and have a name of it otherwise.

    ``layers`` are all packages in the machine's order. The ground lies below all other parts: where
    one of these is visible, so must be what covers it, over it. A pure function.
    """
    seen: dict[bytes, list[str]] = {}
    found: dict[str, dict[str, None]] = {}
    for upper, names in layers.items():
        for name, what in names.items():
            if upper in ground:
                for lower in seen.get(name, ()):
                    if what is None or layers[lower][name] != what:
                        found.setdefault(lower, {})[upper] = None
            seen.setdefault(name, []).append(upper)
    return {name: tuple(above) for name, above in found.items()}


def link_ground(layers: Sequence[Layer], hidden: Collection[str], room: Path) -> Path:
    """Link a machine without its ``hidden`` packages into one tree, in a room of the store.

    Of the other layers it lacks what they have below the hidden packages' VDB entries.
    """
    gone = tuple(b"%s/%s" % (VDB, name.encode(errors="surrogateescape")) for name in hidden)
    shown = []
    for number, layer in enumerate(layers):
        if layer.kind == "package":
            if layer.label not in hidden:
                shown.append(layer.path)
            continue
        entries = walk(layer.path, content=False)
        kept = [e for e in entries if not _below(e.path, gone)]
        if len(kept) == len(entries):
            shown.append(layer.path)
        else:
            put_in_place(layer.path, kept, room / str(number))
            shown.append(room / str(number))
    flatten(shown, room / "ground")
    return room / "ground"


def _below(path: bytes, places: tuple[bytes, ...]) -> bool:
    return path.startswith(VDB) and (b"/".join(path.split(b"/", 5)[:5]) in places)
