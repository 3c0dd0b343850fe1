"""Merges a binary package into this root, as ``emerge --usepkgonly --nodeps --oneshot`` does."""

from __future__ import annotations

import sys
from pathlib import Path

if not __package__:
    sys.path.insert(0, str(Path(__file__).parents[1]))
    __package__ = "guest"

import os
import shutil
from typing import Any

from . import elog, image, leftovers, phases, shortcuts, unowned
from . import settings as guest_settings
from .binaries import differing, plain
from .failures import failed_phase
from .protocol import Channel, Failed, serve
from .vdb import settle

#: Outside of the overlay, so that it is not part of the layer.
PKGDIR = Path("/var/tmp/portage/.cloche-binpkgs")  # noqa: S108 - a directory of the sandbox
#: A layer does not have a merge order yet; finish.py numbers the packages of a root.
NO_COUNTER = 0
HOOKS = frozenset(("setup", "preinst", "postinst", "prerm", "postrm"))


def main(request: dict[str, Any], channel: Channel) -> dict[str, Any]:
    """Answer a request of the protocol."""
    place_package(request["cpv"], Path(request["gpkg"]))
    guest_settings.apply(request["root"], PKGDIR=str(PKGDIR), **guest_settings.MERGING)
    guest_settings.root().mkdir(exist_ok=True)
    settings, trees = phases.load()
    package = binary_package(request["cpv"], settings, trees)
    if request.get("metadata"):
        check_metadata(package, request["metadata"], trees)
    if HOOKS.intersection(package.defined_phases):
        settings, trees = phases.load(refreshed=True)
        package = binary_package(request["cpv"], settings, trees)
    shortcuts.take()
    unowned.spare(tell=False)
    # Saves Portage a search in all entries of the VDB; the counter is set to NO_COUNTER anyway.
    trees["vartree"].dbapi._cached_counter = -1
    merge = Merge(package, settings, channel)
    with elog.collected(package.cpv, merge.settings) as said, leftovers.ended(channel):
        merge.run()
    settle(guest_settings.root(), request["cpv"], NO_COUNTER)
    return {"elog": said.messages}


def place_package(cpv: str, gpkg: Path) -> None:
    """Copy the package to where Portage looks for it; Portage accepts only regular files."""
    category, pf = cpv.split("/")
    from_version = pf.rsplit("-", 2 if pf.rpartition("-")[2].startswith("r") else 1)[0]
    place = PKGDIR / category / from_version / f"{pf}-1.gpkg.tar"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.unlink(missing_ok=True)
    shutil.copyfile(gpkg, place)


def binary_package(cpv: str, settings: Any, trees: Any) -> Any:
    """The only binary package in PKGDIR, as a Package. Raises Failed if it is unreadable."""
    from _emerge.Package import Package

    bintree = trees["bintree"]
    bintree.populate()
    found = bintree.dbapi.match(f"={cpv}")
    if not found:
        raise Failed(phase="unpack", text=f"{cpv}: not a binary package that Portage can read")
    values = bintree.dbapi.aux_get(found[0], Package.metadata_keys)
    return Package(
        built=True,
        cpv=found[0],
        installed=False,
        metadata=dict(zip(Package.metadata_keys, values, strict=False)),
        root_config=phases.root_config(settings, trees),
        type_name="binary",
    )


def check_metadata(package: Any, said: dict[str, str], trees: Any) -> None:
    """Compare a package of a binary package host with its index entry. Raises Failed."""
    bintree = trees["bintree"]
    names = sorted(said)
    own = dict(zip(names, bintree.dbapi.aux_get(package.cpv, names), strict=True))
    if differs := differing(own, said):
        key = differs[0]
        text = f"{key} is {plain(own[key])!r}, but {said[key]!r} in the index of its host"
        raise Failed(phase="unpack", text=f"{package.cpv}: {text}")


class Merge:
    """One run of Portage's own Binpkg task, with the parts of emerge's scheduler that it needs."""

    def __init__(self, package: Any, settings: Any, channel: Channel) -> None:
        self.package = package
        self.settings = phases.clone(settings)
        self.channel = channel

    def run(self) -> None:
        """Unpack and merge. Raises Failed."""
        task = self.binpkg()
        self.perform("unpack", task)
        # Portage then also merges what a tar cannot hold, as it does directly after a build.
        listed = image.taken(Path(task._infloc))
        image.restore(Path(task._image_dir), listed)
        merge = task.create_install_task()
        self.perform("merge", merge)
        image.dig(Path(self.settings["ROOT"]), listed)
        if merge.postinst_failure:
            raise Failed(phase="postinst", text=phases.log_end(self.settings))

    def perform(self, phase: str, task: Any) -> None:
        """Run one of Portage's tasks to its end. Raises Failed."""
        self.channel.phase(phase, "start")
        task.start()
        status = task.wait()
        self.channel.phase(phase, "end")
        if status != os.EX_OK:
            text = phases.log_end(self.settings)
            raise Failed(phase=failed_phase(text) or phase, text=text)

    def binpkg(self) -> Any:
        """Portage's task for a binary package."""
        from types import SimpleNamespace

        from _emerge.Binpkg import Binpkg
        from portage.util._async.SchedulerInterface import SchedulerInterface
        from portage.util.futures import asyncio

        class Scheduler(SchedulerInterface):  # type: ignore[misc]
            """Emerge's scheduler has a queue for pkg_setup; a single merge needs none."""

            def scheduleSetup(self, phase: Any) -> None:  # noqa: N802 - Portage's name
                phase.start()

        scheduler = Scheduler(asyncio._safe_loop())
        nothing = lambda *_, **__: None  # noqa: E731
        return Binpkg(
            background=False,
            find_blockers=lambda: [],
            ldpath_mtimes={},
            logger=SimpleNamespace(log=nothing),
            opts=SimpleNamespace(pretend=False, fetchonly=False, getbinpkg=False),
            pkg=self.package,
            pkg_count=SimpleNamespace(curval=1, maxval=1),
            prefetcher=None,
            scheduler=scheduler,
            settings=self.settings,
            world_atom=nothing,
        )


if __name__ == "__main__":
    serve(main)
