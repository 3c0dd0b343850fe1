"""Names of libraries in build files as Gentoo's packages, through ``dependencies.toml``.

The user may have another file of the same form, whose lines win.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from cloche.autogen.dependencies import Atom, Operator
from cloche.config import toml
from cloche.config.atoms import CATEGORY, PACKAGE
from cloche.config.errors import ConfigError, Origin, unknown_key, wrong_type
from cloche.config.files import read_text

_KINDS = ("pkg-config", "cmake", "library", "program")
_ATOM = re.compile(
    rf"(?P<cp>{CATEGORY}/{PACKAGE})(?::(?P<slot>[\w.=*-]+))?(?:\[(?P<use>[^\]]+)\])?"
)
_LIMIT = re.compile(r"\s*(?P<op><=|>=|==|!=|<|>|=)?\s*(?P<version>\d+(?:\.\d+)*)\s*")
_OPERATORS: Mapping[str, Operator] = {
    "": ">=", ">=": ">=", "<": "<", ">": ">", "<=": "<=", "=": "~", "==": "~",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Names:
    """What build files name, by its kind: atoms, none where every system has it.

    ``own`` is the digest of the user's file, or empty.
    """

    tables: Mapping[str, Mapping[str, tuple[Atom, ...]]]
    own: str = ""

    def find(self, kind: str, name: str) -> tuple[Atom, ...] | None:
        """The atoms of a name; None if it is not known."""
        return self.tables.get(kind, {}).get(name.lower())


def names(own: Path | None = None) -> Names:
    """The mapping of the package, with the user's. Raises `ConfigError`."""
    text = files("cloche.autogen.github").joinpath("dependencies.toml").read_text("utf-8")
    tables = _tables(text, Origin(Path("dependencies.toml")))
    if own is None:
        return Names(tables)
    text = read_text(own, own.parent)
    mine = _tables(text, Origin(own))
    tables = {kind: {**tables[kind], **mine[kind]} for kind in _KINDS}
    return Names(tables, hashlib.sha256(text.encode()).hexdigest())


def limited(atom: Atom, versions: Sequence[str]) -> tuple[Atom, ...] | None:
    """An atom within limits such as ``>=1.2``; None if one has no exact form."""
    found: list[Atom] = []
    for text in versions:
        match = _LIMIT.fullmatch(text)
        if match is None:
            return None
        operator = match["op"] or ""
        if operator == "!=":
            found.append(Atom(atom.cp, "~", match["version"], blocks=True))
        else:
            found.append(replace(atom, operator=_OPERATORS[operator], version=match["version"]))
    if all(each.blocks for each in found):
        found.insert(0, atom)
    return tuple(found)


def of_build(atom: Atom) -> Atom:
    """An atom for BDEPEND, where a subslot is not bound (PMS 8.3.3)."""
    return replace(atom, slot=atom.slot.rstrip("=*"))


def _tables(text: str, origin: Origin) -> dict[str, Mapping[str, tuple[Atom, ...]]]:
    try:
        data = toml.loads(text)
    except ValueError as error:
        raise ConfigError(origin, str(error), "correct it") from error
    for kind in data:
        if kind not in _KINDS:
            raise unknown_key(origin, kind, _KINDS)
        if not isinstance(data[kind], dict):
            raise wrong_type(origin, kind, "a table", repr(data[kind]))
    return {
        kind: {key.lower(): _atoms(value, key, origin) for key, value in data.get(kind, {}).items()}
        for kind in _KINDS
    }


def _atoms(value: Any, key: str, origin: Origin) -> tuple[Atom, ...]:
    found = []
    for text in value if isinstance(value, list) else [value]:
        match = _ATOM.fullmatch(text) if isinstance(text, str) else None
        if match is None:
            raise wrong_type(origin, key, "packages such as dev-libs/glib:2", repr(text))
        use = tuple(match["use"].split(",")) if match["use"] else ()
        found.append(Atom(match["cp"], slot=match["slot"] or "", use=use))
    return tuple(found)
