"""One layer's share in an audit: its names, their owners, and what its programs need.

A layer is read once. What was found is stored with the machine, so that an audit after a change
reads only the layers that are new.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from cloche.audit.elf import MAGIC, Elf, read_elf
from cloche.composing.footprint import VDB, footprint
from cloche.layers import Layer
from cloche.store import Outcome, Store, make_key, record

KIND = "surveys-1"  # of the action; another number whenever something else is found in a layer

#: What a root does not run: documentation, detached debug symbols, sources, Portage's records.
NOT_RUN = ("usr/share/doc/", "usr/lib/debug/", "usr/src/", f"{VDB}/")
_LINE = 256  # bytes of a script that the kernel reads (BINPRM_BUF_SIZE)


@dataclass(frozen=True, slots=True)
class Survey:
    """What a layer has; the entries of its VDB are left out.

    ``links`` have their targets, ``gone`` are whiteouts, ``files`` all other names that are not
    directories. ``scripts`` are the executable ones, with what follows their ``#!``. ``unclaimed``
    are the names that CONTENTS lacks, and ``claimed`` those in CONTENTS that the layer lacks: they
    may be the same file behind a link.
    """

    directories: frozenset[str]
    files: frozenset[str]
    links: Mapping[str, str]
    gone: frozenset[str]
    elves: Mapping[str, Elf]
    scripts: Mapping[str, str]
    unclaimed: frozenset[str]
    claimed: frozenset[str]


def survey(layer: Layer) -> Survey:
    """Read a layer. Raises OSError."""
    found = footprint(layer)
    names = {name for name in found.others - found.gone if not name.startswith(f"{VDB}/")}
    links: dict[str, str] = {}
    elves: dict[str, Elf] = {}
    scripts: dict[str, str] = {}
    for name in names:
        path = layer.path / name
        info = path.lstat()
        if stat.S_ISLNK(info.st_mode):
            links[name] = os.fsdecode(path.readlink())
        elif stat.S_ISREG(info.st_mode) and not name.startswith(NOT_RUN):
            what = _needs(path, executable=bool(info.st_mode & 0o111))
            if isinstance(what, Elf):
                elves[name] = what
            elif what is not None:
                scripts[name] = what
    return Survey(
        directories=frozenset(found.directories),
        files=frozenset(names - links.keys()),
        links=links,
        gone=found.gone,
        elves=elves,
        scripts=scripts,
        unclaimed=frozenset(names - found.owned),
        claimed=frozenset(found.owned - found.others),
    )


def _needs(path: Path, *, executable: bool) -> Elf | str | None:
    """What a program needs: an ELF file's headers, or a script's ``#!`` line without these."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with open(fd, "rb", buffering=0) as file:
        start = file.read(_LINE)
        if start.startswith(MAGIC):
            with open(fd, "rb", closefd=False) as buffered:
                return read_elf(buffered)
        if executable and start.startswith(b"#!"):
            return os.fsdecode(start[2:].partition(b"\n")[0].partition(b"\0")[0].strip())
    return None


def surveys(layers: Iterable[Layer], known: Mapping[str, Survey]) -> dict[str, Survey]:
    """The surveys of layers, by their ids: the known ones, and those that are read now."""
    found: dict[str, Survey] = {}
    for layer in layers:
        if layer.id not in found:
            found[layer.id] = known.get(layer.id) or survey(layer)
    return found


def blob_of(store: Store, machine: str) -> str | None:
    """The blob with the surveys of a machine's layers, if the store has it."""
    action = store.last_action(KIND, machine)
    blob = action.outputs["surveys"] if action else None
    return blob if blob is not None and store.has_blob(blob) else None


def recalled(store: Store, machine: str) -> dict[str, Survey]:
    """The surveys that the last audit of a machine stored, by the ids of layers."""
    if blob := blob_of(store, machine):
        with suppress(msgspec.DecodeError):
            content = store.blob(blob).path.read_bytes()
            return msgspec.json.decode(content, type=dict[str, Survey])
    return {}


def remember(store: Store, machine: str, found: Mapping[str, Survey]) -> None:
    """Store surveys for `recalled`. Their blob must be pinned."""
    parts: Sequence[bytes] = [
        b'"%s":%s' % (id.encode(), encoded)
        for id, each in sorted(found.items())
        if (encoded := _encoded(each)) is not None
    ]
    with store.workspace("surveys") as room:
        path = room / "surveys.json"
        path.write_bytes(b"{" + b",".join(parts) + b"}")
        blob = store.add_blob(path, f"surveys of {machine}").id
    key = make_key(KIND, {"machine": machine, "surveys": blob})
    record(store, key, machine, Outcome({"surveys": blob}), 0.0)


def _encoded(each: Survey) -> bytes | None:
    """As JSON; None where names are not UTF-8: such a layer is read again each time."""
    try:
        return msgspec.json.encode(each, order="deterministic")
    except UnicodeEncodeError:
        return None
