"""What compiles in a root: which of its layers bring compilers, by file names alone.

Layers hold what ebuilds have made, so no link in them is followed.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path

from cloche.layers import Layer
from cloche.store.tree import open_directory

_CCACHE = re.compile(r"ccache", re.ASCII)
_DISTCC = re.compile(r"distcc", re.ASCII)
_COMPILING = re.compile(
    r"([\w.+-]+-)?(gcc|g\+\+|cc|c\+\+|cpp|clang|clang\+\+|clang-cpp|as|ld|collect2)"
    r"(-[\d.]+|\.\w+)?",
    re.ASCII,
)
#: What a seed needs to build programs, by the names of the programs, in the order of their use.
BUILD_TOOLS: Mapping[str, re.Pattern[str]] = {
    "compiler": re.compile(r"([\w.+-]+-)?(gcc|cc|clang)(-[\d.]+)?", re.ASCII),
    "linker": re.compile(r"([\w.+-]+-)?(ld|lld|mold)([.-][\w.]+)?", re.ASCII),
}
_PROGRAMS = ("usr/bin", "bin", "usr/local/bin")
_LIBRARIES = tuple(
    f"usr/{place}/{name}"
    for place in ("lib", "lib64", "libexec")
    for name in ("gcc", "llvm", "clang")
)


def identity(ground: Sequence[Layer], layers: Iterable[Layer]) -> str:
    """A digest of what compiles: the seed's layers, and those layers that bring parts of it.

    Of a seed that is a machine, as of ``layers``, those packages count that bring parts of it.
    """
    seed = [layer.id for layer in ground if layer.kind not in ("config", "package", "state")]
    packages = [layer for layer in ground if layer.kind == "package"]
    found = [layer.id for layer in (*packages, *layers) if compiles(layer.path)]
    return hashlib.sha256("\n".join([*seed, *found]).encode()).hexdigest()[:32]


@cache
def has_ccache(tree: Path) -> bool:
    """Whether a layer brings ccache. Raises OSError."""
    return _has(tree, _CCACHE)


@cache
def has_distcc(tree: Path) -> bool:
    """Whether a layer brings distcc. Raises OSError."""
    return _has(tree, _DISTCC)


@cache
def compiles(tree: Path) -> bool:
    """Whether a layer brings a compiler, an assembler or a linker, or a part of one.

    Raises OSError.
    """
    if _has(tree, _COMPILING):
        return True
    if any(listed(tree, place) is not None for place in _LIBRARIES):
        return True
    # Gentoo's own binutils and compilers lie in usr/CHOST/binutils-bin and gcc-bin.
    return any(_of_chosts(tree, kind) for kind in ("gcc-bin", "binutils-bin"))


@cache
def build_tools(tree: Path) -> frozenset[str]:
    """Which of `BUILD_TOOLS` a layer brings. Raises OSError."""
    if listed(tree, "usr/lib/llvm") is not None:  # Gentoo's, which has both
        return frozenset(BUILD_TOOLS)
    places = {"compiler": "gcc-bin", "linker": "binutils-bin"}
    return frozenset(
        tool
        for tool, program in BUILD_TOOLS.items()
        if _has(tree, program) or _of_chosts(tree, places[tool])
    )


def _of_chosts(tree: Path, place: str) -> bool:
    """Whether a layer has ``usr/CHOST/PLACE``, of any CHOST."""
    names = (name for name in listed(tree, "usr") or () if name.count("-") > 1)
    return any(listed(tree, f"usr/{name}/{place}") is not None for name in names)


def _has(tree: Path, program: re.Pattern[str]) -> bool:
    names = (name for place in _PROGRAMS for name in listed(tree, place) or ())
    return any(program.fullmatch(name) for name in names)


def listed(tree: Path, place: str) -> list[str] | None:
    """The names in a directory of a layer, without following links; None if it is not there."""
    fd = open_directory(tree)
    try:
        for name in place.split("/"):
            try:
                inner = open_directory(os.fsencode(name), fd)
            except (FileNotFoundError, NotADirectoryError):
                return None
            os.close(fd)
            fd = inner
        return os.listdir(fd)  # noqa: PTH208 - a descriptor
    finally:
        os.close(fd)
