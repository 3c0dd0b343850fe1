"""Subarchitectures: the flags and the CHOST that a spec's ``subarch`` stands for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cloche.catalyst.conf import Conf
from cloche.catalyst.spec import Spec
from cloche.config.errors import ConfigError, Origin
from cloche.config.files import read_text
from cloche.config.makeconf import is_quotable
from cloche.config.toml import loads


@dataclass(frozen=True, slots=True)
class Subarch:
    """COMMON_FLAGS, and CHOST where it is not the profile's. ``arch`` is catalyst's word for the
    architecture, as amd64."""

    flags: str = "-O2 -pipe"
    chost: str | None = None
    arch: str = "amd64"

    @property
    def cpu(self) -> str:
        """The first part of CHOST, or ``arch`` if the profile sets CHOST; "x86" for all PCs."""
        word = (self.chost or self.arch).partition("-")[0]
        return "x86" if re.fullmatch(r"amd64|x86|x86_64|i\d86", word) else word


#: What most specs name. Catalyst's own tables, arch/*.toml below `sharedir`, have all others.
SUBARCHS: Mapping[str, Subarch] = {
    "amd64": Subarch(),
    "arm64": Subarch(chost="aarch64-unknown-linux-gnu"),
    "i486": Subarch("-O2 -march=i486 -pipe", "i486-pc-linux-gnu"),
    "i686": Subarch("-O2 -march=i686 -pipe"),
    "ppc64le": Subarch(chost="powerpc64le-unknown-linux-gnu"),
    "rv64_lp64d": Subarch(chost="riscv64-unknown-linux-gnu"),
    "x86_64": Subarch(),
}


def subarch_of(spec: Spec, conf: Conf) -> Subarch:
    """What catalyst's tables say of a spec's subarchitecture, else `SUBARCHS`.

    Raises `ConfigError` for one that neither has.
    """
    name = spec.text("subarch")
    tables = sorted((Path(conf.text("sharedir")) / "arch").glob("*.toml"))
    for file in tables:
        if (found := _in_table(file, name)) is not None:
            return found
    if name not in SUBARCHS:
        raise ConfigError(
            spec.origin("subarch"),
            f"unknown subarchitecture “{name}”",
            f"use one of {', '.join(SUBARCHS)}; for others, set `sharedir` in catalyst.conf to "
            "catalyst's directory, whose arch/*.toml define them",
        )
    return SUBARCHS[name]


def _in_table(file: Path, name: str) -> Subarch | None:
    try:
        groups = loads(read_text(file, Path("/")))
    except ValueError as error:
        raise ConfigError(Origin(file), f"not TOML: {error}") from error
    for arch, group in groups.items():
        values = group.get(name) if isinstance(group, dict) else None
        # A table of [setarch] has `arch`, and is about something else.
        if isinstance(values, dict) and "arch" not in values:
            chost = values.get("CHOST")
            flags = values.get("COMMON_FLAGS", Subarch().flags)
            for value in (flags, chost):
                if not is_quotable(str(value)):
                    what = f"[{name}]: “{value}” cannot be a value in make.conf"
                    raise ConfigError(Origin(file), what)
            return Subarch(str(flags), None if chost is None else str(chost), arch)
    return None
