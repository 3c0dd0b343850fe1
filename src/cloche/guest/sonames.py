"""Adapts Portage's check for unresolved sonames to libraries of a seed that the VDB does not list.

The check (FEATURES=qa-unresolved-soname-deps) uses the PROVIDES of installed packages. The C
library and toolchain of a Debian seed have no VDB entry, so it would report every program. It is
not switched off by FEATURES, because these are recorded in the package.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

#: Where the loader searches besides the directories of ld.so.conf (ld.so(8)).
DIRECTORIES = ("/lib64", "/usr/lib64")


def know_the_seed() -> None:
    """Make Portage's check ignore sonames that the loader would find."""
    from _emerge import EbuildPhase

    asked = EbuildPhase._get_unresolved_soname_deps

    def unresolved(metadata: str, provided: Any) -> list[tuple[str, tuple[str, ...]]]:
        found = asked(metadata, provided)
        kinds = categories(metadata) if found else {}
        left = []
        for name, sonames in found:
            lost = tuple(each for each in sonames if not is_there(each, kinds.get(name)))
            left += [(name, lost)] if lost else []
        return left

    EbuildPhase._get_unresolved_soname_deps = unresolved


def categories(metadata: str) -> dict[str, str]:
    """Portage's multilib category of each file of the package (NEEDED.ELF.2)."""
    from portage.util._dyn_libs.NeededEntry import NeededEntry

    place = Path(metadata, "NEEDED.ELF.2")
    lines = [line for line in place.read_text(encoding="utf-8").splitlines() if line]
    entries = [NeededEntry.parse(str(place), line) for line in lines]
    return {entry.filename: entry.multilib_category for entry in entries}


def is_there(soname: str, category: str | None) -> bool:
    """Whether the root has a library of this name and multilib category."""
    from portage.dep.soname.multilib_category import compute_multilib_category
    from portage.util import getlibpaths
    from portage.util.elf.header import ELFHeader

    for directory in (*getlibpaths("/"), *DIRECTORIES):
        place = Path(directory, soname)
        if place.is_file():
            with suppress(OSError, TypeError), place.open("rb") as file:  # TypeError: too short
                if compute_multilib_category(ELFHeader.read(file)) == category:
                    return True
    return False
