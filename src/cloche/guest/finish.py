"""Makes the global state of a finished root: counters, world files, the files of env_update."""

from __future__ import annotations

import sys
from pathlib import Path

if not __package__:
    sys.path.insert(0, str(Path(__file__).parents[1]))
    __package__ = "guest"

import os
import shutil
from collections.abc import Iterator
from typing import Any

from . import phases, vdb
from . import settings as guest_settings
from .normalise import clamp_times
from .protocol import Channel, Failed, serve

COUNTER = "var/cache/edb/counter"
#: Caches that depend on when and where the root was made; programs make them again when needed.
DROPPED = ("var/cache/ldconfig/aux-cache", "var/cache/edb/dep", "var/cache/edb/mtimedb")
#: What this script or Portage writes; its time stamps must not show the time of the build.
WRITTEN = ("etc/profile.env", "etc/csh.env", "etc/environment.d", "etc/ld.so.conf",
           "etc/ld.so.cache", "etc/prelink.conf.d", "var/cache/edb", "var/cache/ldconfig",
           "var/lib/portage", "var/db/pkg")  # fmt: skip


def main(request: dict[str, Any], channel: Channel) -> dict[str, Any]:
    """Answer a request of the protocol."""
    guest_settings.apply(root := request["root"])
    settings, trees = phases.load()
    number(Path(root), request["order"])
    write_world(
        request["world"],
        request["world_sets"],
        settings,
        trees,
        keep=request.get("keep_world", False),
    )
    phases.refresh_generated(Path(root), always=True)
    clean(Path(root))
    return {}


def number(root: Path, order: list[str]) -> None:
    """Give the packages of ``order`` their COUNTER, above those of all other packages."""
    top, place = root / vdb.VDB, root / COUNTER
    entries = {str(path.parent.relative_to(top)): path for path in top.glob("*/*/COUNTER")}
    unknown = [cpv for cpv in order if not (top / cpv).is_dir()]
    if unknown:
        raise Failed(kind="other", text=f"not in the VDB: {' '.join(unknown)}")
    others = [path for cpv, path in entries.items() if cpv not in set(order)]
    # For Portage, a root without packages has the counter -1, so the first package gets 0.
    counter = max((int(path.read_text() or "-1") for path in others), default=-1)
    for cpv in order:
        counter += 1
        vdb.number(root, cpv, counter)
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        shutil.chown(place.parent, "root", "portage")
    except LookupError as error:
        text = f"{error}: a hook has damaged /etc/passwd or /etc/group"
        raise Failed(kind="other", text=text) from error
    place.write_text(str(max(counter, 0)), encoding="ascii")


def write_world(
    atoms: list[str], sets: list[str], settings: Any, trees: Any, *, keep: bool
) -> None:
    """Write the world files through Portage's own classes, which sort them.

    With ``keep`` what they have stays.
    """
    from portage._sets import load_default_config

    root = phases.root_config(settings, trees, load_default_config(settings, trees))
    atoms, selected = world_atoms(atoms, root), root.sets
    sets = [f"@{name.lstrip('@')}" for name in sets]
    for name, members in (("selected-packages", atoms), ("selected-sets", sets)):
        world = selected[name]
        world.lock()
        try:
            write = world.update if keep else world.replace
            write(members)
        finally:
            world.unlock()


def world_atoms(atoms: list[str], root: Any) -> list[str]:
    """What ``emerge ATOMS`` would add to the world file, by emerge's own rules."""
    from _emerge.create_world_atom import create_world_atom
    from portage._sets.base import InternalPackageSet

    asked = InternalPackageSet(initial_atoms=atoms)
    wanted = {atom.cp for atom in asked.getAtoms()}
    noted = (
        create_world_atom(package, asked, root)
        for package in installed(root)
        if package.cp in wanted
    )
    return sorted({str(atom) for atom in noted if atom is not None})


def installed(root: Any) -> Iterator[Any]:
    """The packages that are installed in this root."""
    from _emerge.Package import Package

    database = root.trees["vartree"].dbapi
    # Those that have no file of their own would be sought in each saved environment.
    keys = sorted(database._aux_cache_keys.intersection(Package.metadata_keys))
    for cpv in database.cpv_all():
        values = database.aux_get(cpv, keys)
        yield Package(
            built=True,
            cpv=cpv,
            installed=True,
            metadata=dict(zip(keys, values, strict=True)),
            root_config=root,
            type_name="installed",
        )


def clean(root: Path) -> None:
    """Remove traces of this run, and clamp the time stamps of the rest."""
    for name in DROPPED:
        path = root / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    for lock in (root / "var/lib/portage").glob(".*lockfile"):
        lock.unlink()
    for name in WRITTEN:
        path = root / name
        if path.is_dir():
            clamp_times(path, guest_settings.epoch())
        elif path.exists():
            os.utime(path, (guest_settings.epoch(),) * 2)


if __name__ == "__main__":
    serve(main)
