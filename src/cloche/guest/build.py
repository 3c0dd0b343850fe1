"""Builds one package into a GPKG, phase by phase as emerge does."""

from __future__ import annotations

import sys
from pathlib import Path

if not __package__:
    sys.path.insert(0, str(Path(__file__).parents[1]))
    __package__ = "guest"

import os
import shutil
from typing import Any

from . import ccache, distcc, elog, helpers, image, leftovers, phases, shortcuts, sonames, sysroot
from . import settings as guest_settings
from .normalise import clamp_times, normalise_build_info
from .protocol import OUT, Channel, Failed, serve

# The phases after setup. pretend.py runs pkg_pretend before any build.
BUILDING = ("unpack", "prepare", "configure", "compile", "test", "install")


def main(request: dict[str, Any], channel: Channel) -> dict[str, Any]:
    """Answer a request of the protocol."""
    guest_settings.apply(request["root"], **request.get("environment", {}))
    if guest_settings.own_root() and os.environ["SYSROOT"] != "/":
        sysroot.prepare(guest_settings.root())
    settings, trees = phases.load(refreshed=True)
    shortcuts.take()
    package = phases.ebuild_package(request["cpv"], request["repo"], settings, trees)
    own = package_settings(package, settings, trees)
    check_use(request.get("use"), own)
    check_distfiles(own)
    sonames.know_the_seed()
    with (
        elog.collected(package.cpv, own) as said,
        helpers.serving() as server,
        leftovers.ended(channel, server),
        distcc.used(request.get("distcc"), own) as sender,
        ccache.used(request.get("ccache"), own) as cache,
    ):
        run("setup", own, channel)
        for phase in wanted(package, own):
            run(phase, own, channel)
        if cache:
            cache.close(own)
        if sender:
            sender.close(own)
        normalise(own, channel)
        gpkg = pack(package, own, channel)
    return {"gpkg": gpkg, "elog": said.messages}


def package_settings(package: Any, settings: Any, trees: Any) -> Any:
    """Settings for the package, with an empty build directory. Raises Failed."""
    from portage.dbapi.porttree import _parse_uri_map

    import portage

    portdb = trees["porttree"].dbapi
    own = phases.clone(settings)
    own.setcpv(package)
    ebuild = portdb.findname(package.cpv, myrepo=package.repo)
    metadata = own.configdict["pkg"]
    (metadata["SRC_URI"],) = portdb.aux_get(package.cpv, ["SRC_URI"], myrepo=package.repo)
    metadata["EMERGE_FROM"] = "ebuild"
    metadata["MERGE_TYPE"] = "source"
    portage.doebuild_environment(ebuild, "setup", settings=own, db=portdb)
    uris = _parse_uri_map(
        package.cpv,
        {"EAPI": own["EAPI"], "SRC_URI": metadata["SRC_URI"]},
        use=frozenset(own["PORTAGE_USE"].split()),
    )
    metadata["A"] = " ".join(uris)
    own["REPLACING_VERSIONS"] = phases.replacing_versions(package, trees)
    own["PORTAGE_BUILDDIR_LOCKED"] = "1"  # no other process uses it
    shutil.rmtree(own["PORTAGE_BUILDDIR"], ignore_errors=True)
    if portage.prepare_build_dirs(own["ROOT"], own, 0):
        raise Failed(phase="setup", text="Portage cannot make its build directory")
    return own


def check_use(wanted_use: list[str] | None, settings: Any) -> None:
    """Refuse to build if the USE flags differ from those of the plan. Raises Failed."""
    if wanted_use is None:
        return
    use = set(settings["PORTAGE_USE"].split())
    added, missing = sorted(use - set(wanted_use)), sorted(set(wanted_use) - use)
    if added or missing:
        difference = [f"+{flag}" for flag in added] + [f"-{flag}" for flag in missing]
        text = f"USE differs from the resolved one: {' '.join(difference)}"
        raise Failed(phase="setup", text=text)


def check_distfiles(settings: Any) -> None:
    """Let Portage verify the distfiles and the package's files against the Manifest."""
    from portage.package.ebuild.digestcheck import digestcheck

    names = settings.configdict["pkg"]["A"].split()
    lost = [name for name in names if not (Path(settings["DISTDIR"]) / name).exists()]
    if lost:
        raise Failed(phase="unpack", text=f"not in DISTDIR: {' '.join(lost)}")
    if not digestcheck(names, settings, strict=True):
        raise Failed(phase="unpack", text="Digest verification failed; the log says which file")


def wanted(package: Any, settings: Any) -> tuple[str, ...]:
    """The phases to run after setup. Portage skips those that would do nothing."""
    from _emerge.EbuildExecuter import EbuildExecuter

    executer = EbuildExecuter(pkg=package, settings=settings)
    idle = getattr(executer, "_can_skip_source_phases", None)  # since Portage 3.0.80
    if idle is not None and idle():
        return ("install",)
    return tuple(phase for phase in BUILDING if phase != "test" or "test" in settings.features)


def run(phase: str, settings: Any, channel: Channel) -> None:
    """Run one phase, as EbuildBuild and EbuildExecuter do, and end all its processes."""
    phases.run_phase(phase, settings, channel)
    leftovers.end(channel)


def normalise(settings: Any, channel: Channel) -> None:
    """Between install and package, remove what depends on the time of the build.

    What the package's tar cannot hold is stored in build-info. Raises Failed.
    """
    epoch = guest_settings.epoch()
    build_info = Path(settings["PORTAGE_BUILDDIR"]) / "build-info"
    clamp_times(Path(settings["D"]), epoch)
    normalise_build_info(build_info, epoch)
    image.put_aside(Path(settings["D"]), build_info, channel)


def pack(package: Any, settings: Any, channel: Channel) -> str:
    """Run the package phase; return the name of the file in OUT."""
    name = f"{package.pf}-1.gpkg.tar"
    # Portage would write to PKGDIR/CATEGORY/PN; the host expects only the file.
    target = OUT / name
    settings["BUILD_ID"] = "1"
    settings["PORTAGE_BINPKG_TMPFILE"] = str(target)
    settings["PORTAGE_PYTHON"] = shortcuts.interpreter()
    phases.run_phase("package", settings, channel)
    if not target.exists() or not target.stat().st_size:
        raise Failed(phase="package", text=phases.log_end(settings))
    target.chmod(0o644)
    return name


if __name__ == "__main__":
    serve(main)
