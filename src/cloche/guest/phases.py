"""Running single phases of an ebuild with Portage's own EbuildPhase, as emerge does."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

from .capture import captured_output
from .failures import tail
from .protocol import Channel, Failed
from .vdb import VDB

PROFILE_ENV = Path("/etc/profile.env")


def load(*, refreshed: bool = False) -> tuple[Any, Any]:
    """Portage's settings and trees of this root.

    With ``refreshed`` the generated files of the root are made first, and Portage reads them.
    """
    import portage

    portage._internal_caller = True
    from portage.output import nocolor

    nocolor()
    if refreshed and refresh_generated():
        portage._reset_legacy_globals()
    trees = portage.db[portage.settings["EROOT"]]
    return portage.settings, trees


def clone(settings: Any) -> Any:
    """A config to change freely."""
    import portage

    return portage.config(clone=settings)


def root_config(settings: Any, trees: Any, sets: Any = None) -> Any:
    """What _emerge's classes take a root for; with Portage's package ``sets`` where they matter."""
    from _emerge.RootConfig import RootConfig

    return RootConfig(settings, trees, sets)


def ebuild_package(cpv: str, repo: str, settings: Any, trees: Any) -> Any:
    """The ebuild ``cpv::repo`` as a Package. Raises Failed when it is not there or broken."""
    from _emerge.Package import Package
    from portage.exception import PortageKeyError

    portdb = trees["porttree"].dbapi
    values = None
    with captured_output() as captured, contextlib.suppress(PortageKeyError):
        values = portdb.aux_get(cpv, Package.metadata_keys, myrepo=repo)
    if values is None:
        text = f"{cpv}::{repo}: the ebuild is not there or cannot be read\n{captured.text}"
        raise Failed(phase="setup", text=text.strip())
    metadata = dict(zip(Package.metadata_keys, values, strict=False))
    return Package(
        built=False,
        cpv=portdb_cpv(cpv, metadata, settings, portdb),
        installed=False,
        metadata=metadata,
        root_config=root_config(settings, trees),
        type_name="ebuild",
    )


def portdb_cpv(cpv: str, metadata: dict[str, str], settings: Any, database: Any) -> Any:
    """The cpv with slot and repository, as Portage's classes want it."""
    from portage.versions import _pkg_str

    return _pkg_str(cpv, metadata=metadata, settings=settings, db=database)


def replacing_versions(package: Any, trees: Any) -> str:
    """REPLACING_VERSIONS: what is installed in the same slot."""
    from portage.versions import cpv_getversion

    vardb = trees["vartree"].dbapi
    found = vardb.match(package.slot_atom) + vardb.match(f"={package.cpv}")
    return " ".join(sorted({cpv_getversion(match) for match in found}))


def run_phase(phase: str, settings: Any, channel: Channel | None = None) -> None:
    """Run one phase in the build directory that is there. Raises Failed with the log's end."""
    from portage.package.ebuild.doebuild import _spawn_phase

    if channel is not None:
        channel.phase(phase, "start")
    log = build_log(settings)
    before = log.stat().st_size if log is not None and log.exists() else 0
    status = _spawn_phase(phase, settings)
    if channel is not None:
        channel.phase(phase, "end")
    if status != os.EX_OK:
        raise Failed(phase=phase, text=log_end(settings, before))


def build_log(settings: Any) -> Path | None:
    """The build log, where Portage keeps one."""
    name = settings.get("PORTAGE_LOG_FILE")
    return Path(name) if name else None


def log_end(settings: Any, start: int = 0) -> str:
    """The last lines of the build log from the byte ``start`` on."""
    log = build_log(settings)
    if log is None or not log.exists():
        return ""
    with log.open("rb") as file:
        file.seek(start)
        return tail(file.read().decode("utf-8", "replace"), 60)


def refresh_generated(*, always: bool = False) -> bool:
    """Make ld.so.cache, profile.env and their like from what this root holds.

    A root that holds no merged package has them as its seed made them, so nothing is done.
    Returns whether the environment that Portage reads has become another.
    """
    if not always and not any(VDB.glob("*/*/CONTENTS")):
        return False
    before = _profile_env()
    from portage.util.env_update import env_update

    # Without earlier time stamps every library directory counts as changed: ldconfig runs once.
    env_update(makelinks=1, prev_mtimes={}, writemsg_level=_quiet)
    return _profile_env() != before


def _profile_env() -> bytes:
    return PROFILE_ENV.read_bytes() if PROFILE_ENV.exists() else b""


def _quiet(*_: object, **__: object) -> None:
    """The regenerating is no news."""
