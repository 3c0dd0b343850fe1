"""Runs single phases of an ebuild with Portage's own EbuildPhase, as emerge does."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

from . import settings as guest_settings
from .both_roots import configured_alike
from .capture import captured_output
from .failures import tail
from .keyed import only_keyed
from .protocol import Channel, Failed
from .vdb import VDB

PROFILE_ENV = "etc/profile.env"


def load(*, refreshed: bool = False) -> tuple[Any, Any]:
    """Portage's settings and trees of this root.

    With ``refreshed`` the generated files of the root are made first, so that Portage reads them.
    """
    import portage

    portage._internal_caller = True
    if guest_settings.own_root():
        configured_alike()
    from portage.output import nocolor

    nocolor()
    if refreshed and refresh_generated():
        portage._reset_legacy_globals()
    only_keyed(portage.settings)
    trees = portage.db[portage.settings["EROOT"]]
    return portage.settings, trees


def clone(settings: Any) -> Any:
    """A copy of a config, to be changed freely."""
    import portage

    return portage.config(clone=settings)


def root_config(settings: Any, trees: Any, sets: Any = None) -> Any:
    """A root as _emerge's classes expect it, with Portage's package ``sets`` if they are needed."""
    from _emerge.RootConfig import RootConfig

    return RootConfig(settings, trees, sets)


def ebuild_package(cpv: str, repo: str, settings: Any, trees: Any) -> Any:
    """The ebuild ``cpv::repo`` as a Package. Raises Failed if it is missing or broken."""
    from _emerge.Package import Package
    from portage.exception import PortageKeyError

    portdb = trees["porttree"].dbapi
    values = None
    with captured_output() as captured, contextlib.suppress(PortageKeyError):
        values = portdb.aux_get(cpv, Package.metadata_keys, myrepo=repo)
    if values is None:
        text = f"{cpv}::{repo}: the ebuild is missing or cannot be read\n{captured.text}"
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
    """The CPV with slot and repository, as Portage's classes expect it."""
    from portage.versions import _pkg_str

    return _pkg_str(cpv, metadata=metadata, settings=settings, db=database)


def replacing_versions(package: Any, trees: Any) -> str:
    """REPLACING_VERSIONS: what is installed in the same slot."""
    from portage.versions import cpv_getversion

    vardb = trees["vartree"].dbapi
    found = vardb.match(package.slot_atom) + vardb.match(f"={package.cpv}")
    return " ".join(sorted({cpv_getversion(match) for match in found}))


def run_phase(phase: str, settings: Any, channel: Channel | None = None) -> None:
    """Run one phase in the present build directory. Raises Failed with the end of the log."""
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
    """The build log, if Portage writes one."""
    name = settings.get("PORTAGE_LOG_FILE")
    return Path(name) if name else None


def log_end(settings: Any, start: int = 0) -> str:
    """The last lines of the build log, of what follows the byte ``start``."""
    log = build_log(settings)
    if log is None or not log.exists():
        return ""
    with log.open("rb") as file:
        file.seek(start)
        return tail(file.read().decode("utf-8", "replace"), 60)


def refresh_generated(root: Path = Path("/"), *, always: bool = False) -> bool:
    """Regenerate ld.so.cache, profile.env and similar files from what a root holds.

    A root without merged packages has those of its seed, so nothing is done unless ``always``.
    Returns whether the environment that Portage reads has changed.
    """
    if not always and not any((root / VDB).glob("*/*/CONTENTS")):
        return False
    before = _profile_env(root)
    from portage.util.env_update import env_update

    # Without earlier time stamps every library directory counts as changed, so ldconfig runs.
    env_update(makelinks=1, target_root=str(root), prev_mtimes={}, writemsg_level=_quiet)
    return _profile_env(root) != before


def _profile_env(root: Path) -> bytes:
    file = root / PROFILE_ENV
    return file.read_bytes() if file.exists() else b""


def _quiet(*_: object, **__: object) -> None:
    """Discard Portage's messages about regenerating."""
