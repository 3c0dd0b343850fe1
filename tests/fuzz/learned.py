"""Inputs that earlier runs found to reach code that no other reaches, a tarball for each target.

A run begins with them, so that it goes on where longer runs were. ``python -m tests.fuzz.learned
DIR`` keeps what is in ``DIR/TARGET/corpus``, as `make fuzz` leaves it in ``.cache/fuzz``.
"""

from __future__ import annotations

import io
import sys
import tarfile
from pathlib import Path

PLACE = Path(__file__).parent / "learned"


def inputs(name: str) -> list[bytes]:
    """The inputs of a target; a new one has none yet."""
    path = PLACE / f"{name}.tar.xz"
    if not path.exists():
        return []
    with tarfile.open(path) as packed:
        return [file.read() for member in packed if (file := packed.extractfile(member))]


def keep(name: str, corpus: Path) -> None:
    """Pack the inputs of a corpus; the same ones always give the same bytes."""
    PLACE.mkdir(exist_ok=True)
    with tarfile.open(PLACE / f"{name}.tar.xz", "w:xz") as packed:
        contents = sorted(path.read_bytes() for path in corpus.iterdir())
        for number, content in enumerate(contents):
            member = tarfile.TarInfo(f"{number}")
            member.size = len(content)
            packed.addfile(member, io.BytesIO(content))


if __name__ == "__main__":
    for each in sorted(Path(sys.argv[1]).glob("*/corpus")):
        keep(each.parent.name, each)
