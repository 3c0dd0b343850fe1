"""Sources of Debian's packages, as their authors released them, from the mirrors of this host."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.support import cannot

TARGETS = "deb-src $(REPO_URI) $(RELEASE) $(COMPONENT)"


def unpacked(room: Path, *packages: str) -> list[Path]:
    """Fetch the released archives of these packages, verified by apt, and unpack them."""
    (room / "parts").mkdir(parents=True)
    (room / "lists/partial").mkdir(parents=True)
    try:
        words = ("apt-get", "indextargets", "--format", TARGETS, "Created-By: Packages")
        found = subprocess.run(words, capture_output=True, text=True, check=False).stdout
    except FileNotFoundError:
        cannot("there is no apt")
    lines = {line for line in found.splitlines() if "security" not in line}
    (room / "parts/own.list").write_text("\n".join(sorted(lines)) + "\n")
    options = {
        "Dir::Etc::SourceList": "/dev/null",
        "Dir::Etc::SourceParts": str(room / "parts"),
        "Dir::State::Lists": str(room / "lists"),
        "APT::Sandbox::User": "root",
    }
    apt = ("apt-get", "-qq", *(f"-o{name}={value}" for name, value in options.items()))
    subprocess.run([*apt, "update"], check=True, timeout=300)
    made = []
    for package in packages:
        place = room / package
        place.mkdir()
        fetch = ("source", "--download-only", "--tar-only", package)
        subprocess.run([*apt, *fetch], cwd=place, check=True, timeout=300)
        (archive,) = place.glob("*.orig.tar.*[!c]")
        words = ("tar", "-x", "--strip-components=1", "-f", archive.name)
        subprocess.run(words, cwd=place, check=True)
        made.append(place)
    return made
