"""Files that a merge overwrites and that no installed package owns, such as a Debian seed's.

For each package that overwrites such files, Portage prints twenty-five lines about packages that
install the same file. Here it does so only for files that another package owns.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

#: Files that the line names.
MOST = 5


def spare(*, tell: bool) -> None:
    """Patch Portage in this process: messages about collisions leave out files without an owner.

    With ``tell``, one line lists them. FEATURES=collision-protect still reports all collisions.
    """
    from portage.dbapi.vartree import dblink

    found = dblink._collision_protect

    def collision_protect(self: Any, *words: Any, **more: Any) -> tuple[Any, ...]:
        collisions, *others = found(self, *words, **more)
        if not collisions or "collision-protect" in self.settings.features:
            return (collisions, *others)
        told = {*owned(self, collisions), *others[-2]}  # a link in a directory's place is an error
        if tell and (nobodys := [name for name in collisions if name not in told]):
            self._elog("einfo", "preinst", [line_of(nobodys)])
        return ([name for name in collisions if name in told], *others)

    dblink._collision_protect = collision_protect


def owned(package: Any, names: Iterable[str]) -> set[str]:
    """Those of the names that an installed package owns, by whatever links it names them."""
    asked = list(names)
    package.lockdb()
    try:
        found = package.vartree.dbapi._owners.get_owners(list(asked))
    finally:
        package.unlockdb()
    root = Path(package.vartree.dbapi._eroot)
    there = {place(root, name) for files in found.values() for name in files}
    return {name for name in asked if place(root, name) in there}


def place(root: Path, name: str) -> Path:
    """Where a file lies: its own name is not followed if it is a link."""
    path = root / name.lstrip("/")
    return path.parent.resolve() / path.name


def line_of(names: list[str]) -> str:
    """The line that lists the files."""
    listed = ", ".join(f"/{name.lstrip('/')}" for name in names[:MOST])
    more = f" and {len(names) - MOST} more" if len(names) > MOST else ""
    files = "a file" if len(names) == 1 else f"{len(names)} files"
    return f"overwrites {files} that no package owns: {listed}{more}"
