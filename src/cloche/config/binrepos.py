"""``[binrepos.NAME]``: a host of binary packages, in the words of Portage's binrepos.conf."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cloche.config.atoms import is_name
from cloche.config.errors import ConfigError, Origin
from cloche.config.sync import read_uri
from cloche.config.table import Table

KEYS: Final = ("sync_uri", "verify_signature", "openpgp_keys")
_SCHEMES: Final = ("https", "http", "file")


@dataclass(frozen=True, slots=True)
class BinrepoSpec:
    """A binary package host: ``uri`` is the directory of its ``Packages``, without a slash.

    ``verify`` requires packages to be signed (GLEP 78) by a key of ``keyring``, by default of
    Gentoo's.
    """

    name: str
    uri: str
    verify: bool
    keyring: Path | None
    origin: Origin


def read_binrepos(top: Table, root: Path) -> Mapping[str, BinrepoSpec]:
    """All ``[binrepos.NAME]`` of a project. Raises `ConfigError`."""
    return {name: _read(name, table, root) for name, table in top.tables("binrepos").items()}


def _read(name: str, table: Table, root: Path) -> BinrepoSpec:
    if not is_name(name):
        raise ConfigError(
            table.origin(),
            f"“{name}” is not a name for a binary package host",
            "use letters, digits, _ . + -",
        )
    table.only(KEYS)
    table.required("sync_uri", '"https://…"')
    keys = table.optional("openpgp_keys", str)
    return BinrepoSpec(
        name=name,
        uri=read_uri(table, "a binary package host", _SCHEMES, root).rstrip("/"),
        verify=table.get("verify_signature", bool, True),
        keyring=(root / keys).absolute() if keys else None,
        origin=table.origin(),
    )
