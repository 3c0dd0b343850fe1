"""A seed from any tarball of a root, without a signature, pinned by its digest."""

from __future__ import annotations

import hashlib
from pathlib import Path

from cloche.archives import (
    ImportOptions,
    import_tarball,
)
from cloche.config.lock import TreeSeed
from cloche.fetching.errors import WrongContentError
from cloche.seeds.errors import missing_file
from cloche.seeds.types import SeedContext, SeedRequest


def make(request: SeedRequest, room: Path, context: SeedContext) -> tuple[Path, TreeSeed]:
    """Unpack the tarball. Raises `FetchingError`, `ImportRefusedError`, OSError."""
    file = request.path("path")
    if file is None or not file.is_file():
        raise missing_file(request.spec.name, "path", file)
    context.report("reading the tarball")
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    declared = request.spec.text("sha256")
    locked = request.pinned.digest if isinstance(request.pinned, TreeSeed) else ""
    for known in filter(None, (declared, locked)):
        if digest != known.lower():
            raise WrongContentError(str(file), f"it has SHA-256 {digest}, pinned is {known}")
    context.report(f"unpacking {file.name}")
    tree = room / "tree"
    import_tarball(file, tree, ImportOptions(devices="skip"))
    return tree, TreeSeed("tarball", digest)
