"""Which Cargo.toml a Python project builds."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from cloche.autogen.errors import RefusedError

_MANIFEST = "Cargo.toml"
_LOCK = re.compile(r"(?:[^/]+/)*Cargo\.lock")


def manifest_of(pyproject: Mapping[str, Any], names: Collection[str], where: str) -> str:
    """The Cargo.toml that maturin or setuptools-rust is set to use. Raises `RefusedError`."""
    tool = pyproject.get("tool")
    given = list(_named(tool if isinstance(tool, dict) else {})) or [_MANIFEST]
    found = [each for each in given if each in names]
    if not found:  # setup.py names it, and is not run
        locks = [name for name in names if _LOCK.fullmatch(name)]
        found = [str(PurePosixPath(name).with_name(_MANIFEST)) for name in locks]
    if len(found) > 1:
        what = f"it has {len(found)} Rust crates of its own, each with its Cargo.toml"
        raise RefusedError(what, where=where, todo="write this ebuild by hand")
    return found[0] if found else _MANIFEST


def _named(tool: Mapping[str, Any]) -> Iterator[str]:
    """The paths in ``[tool.maturin]`` and ``[tool.setuptools-rust]``."""
    maturin, rust = tool.get("maturin"), tool.get("setuptools-rust")
    if isinstance(maturin, dict) and isinstance(maturin.get("manifest-path"), str):
        yield str(PurePosixPath(maturin["manifest-path"]))
    for key in ("ext-modules", "bins"):
        listed = rust.get(key) if isinstance(rust, dict) else None
        for each in listed if isinstance(listed, list) else ():
            if isinstance(each, dict):
                yield str(PurePosixPath(str(each.get("path", _MANIFEST))))
