"""Files of Debian's packages, for tests that need real programs in a root."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.support import cannot


def unpack(into: Path, *packages: str) -> Path:
    """Fetch packages by apt, and unpack their files into a directory; no script of theirs runs."""
    if missing := [tool for tool in ("apt-get", "dpkg-deb") if shutil.which(tool) is None]:
        cannot(f"{', '.join(missing)}: not installed")
    with tempfile.TemporaryDirectory() as place:
        subprocess.run(["apt-get", "download", "-q", *packages], cwd=place, check=True)
        for file in sorted(Path(place).glob("*.deb")):
            subprocess.run(["dpkg-deb", "-x", file, into], check=True)
    return into
