"""A directory that is replaced by the content of a tarball, as a whole."""

from __future__ import annotations

import os
from pathlib import Path

from cloche.archives.extraction import ImportOptions
from cloche.archives.tarball import import_tarball
from cloche.store.removal import remove_tree


def replace_directory(target: Path, tarball: Path) -> None:
    """Unpack a tarball, with its device nodes, in the place of a directory, if one is there.

    What a process that was killed has left beside it is removed. Raises `ImportRefusedError`,
    OSError.
    """
    new, old = (target.with_name(f".{target.name}.{word}") for word in ("new", "old"))
    for left in (new, old):
        remove_tree(left)
    import_tarball(tarball, new, ImportOptions(devices="make"))
    if os.path.lexists(target):
        target.rename(old)
    new.rename(target)
    remove_tree(old)
