"""A seed out of any tarball of a root: whoever made it, taken as it is, pinned by its digest."""

from __future__ import annotations

import hashlib
from pathlib import Path

from cloche.config.lock import TreeSeed
from cloche.fetching.errors import WrongContentError
from cloche.layers import ImportOptions, import_tarball
from cloche.seeds.errors import NoFileError
from cloche.seeds.making import Means, Wanted


def make(wanted: Wanted, room: Path, means: Means) -> tuple[Path, TreeSeed]:
    """Unpack the tarball. Raises `FetchingError`, `ImportRefusedError`, OSError."""
    file = wanted.path("path")
    if file is None or not file.is_file():
        raise NoFileError(wanted.spec.name, "path", file)
    means.report("reading the tarball")
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    declared = wanted.spec.text("sha256")
    locked = wanted.pinned.digest if isinstance(wanted.pinned, TreeSeed) else ""
    for known in filter(None, (declared, locked)):
        if digest != known.lower():
            raise WrongContentError(str(file), f"it has SHA-256 {digest}, pinned is {known}")
    means.report(f"unpacking {file.name}")
    tree = room / "tree"
    import_tarball(file, tree, ImportOptions(devices="skip"))
    return tree, TreeSeed("tarball", digest)
