"""The commit that git wrote into an archive (git-archive(1)), as forges generate them."""

from __future__ import annotations

import re
from pathlib import Path

from cloche.archives.decompression import unpacked
from cloche.archives.errors import ImportRefusedError

_COMMIT = re.compile(rb"\d+ comment=([0-9a-f]{40}(?:[0-9a-f]{24})?)\n")


def commit_of(path: Path) -> str | None:
    """The commit; None where none is named."""
    try:
        with unpacked(path) as stream:
            head = stream.read(1536)  # a header, its records, and the next header
    except ImportRefusedError:  # told when it is looked into
        return None
    match = _COMMIT.search(head)
    return match[1].decode() if match and head[156:157] == b"g" else None
