"""Versions of symbols that programs need of the C and C++ libraries.

glibc and libstdc++ give their symbols versions (``GLIBC_2.34``). A program that was linked against
a newer library may need one that an older library lacks: it does not start there. The ELF section
``.gnu.version_r`` names them (Linux Standard Base, Core, 10.7 "Symbol Versioning").
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from cloche.audit.elf import needed_versions
from cloche.targets.description import Description
from cloche.targets.levels import Level, newer

_VERSION = re.compile(r"(GLIBC|GLIBCXX|CXXABI)_(\d+(?:\.\d+)+)")


def needed_symbols(tree: Path) -> tuple[tuple[str, str], ...]:
    """The versions that the programs and libraries in a tree need, by prefix, sorted."""
    found = set()
    for path in _files(tree):
        try:
            with path.open("rb") as file:
                names = needed_versions(file)
        except OSError:
            continue
        found |= {(m[1], m[2]) for m in map(_VERSION.fullmatch, names) if m}
    return tuple(sorted(found))


def too_new(
    description: Description, symbols: Sequence[tuple[str, str]], level: Level
) -> tuple[str, ...]:
    """Why a package needs newer libraries than a target has; empty if it does not."""
    return newer(symbols, description.symbols) if level.rank >= Level.ABI.rank else ()


def _files(tree: Path) -> Iterator[Path]:
    for top, _, names in os.walk(tree):
        for name in names:
            path = Path(top, name)
            if path.is_file() and not path.is_symlink():
                yield path
