"""Records the streams in streams/: real builds of packages that do nothing but sleep, as root.

    PYTHONPATH=src:. python tests/display/record.py [SEEDED_STORE]

The store is written to; without one only the screens in screens/ are written anew, which somebody
has to look at. Names of logs and layers are left out of the streams: they are this machine's.
"""

from __future__ import annotations

import gzip
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from replay import SCENES, SCREENS, STREAMS

WORKBENCH = Path(__file__).resolve().parents[2] / "examples" / "workbench"
EBUILD = """EAPI=8
DESCRIPTION="Number {number}"
S="${{WORKDIR}}"
SLOT="0"
KEYWORDS="amd64"
DEPEND="{needs}"
src_compile() {{ sleep {seconds}{more}; }}
"""
MACHINE = """seed = "debian"
profile = "workbench:default"
portage = ["base"]
packages = [{packages}]
"""


def project(place: Path, name: str, needs: dict[int, list[int]], failing: int = -1) -> None:
    """A machine whose packages need each other as ``needs`` has it."""
    shutil.copytree(WORKBENCH, place, ignore=shutil.ignore_patterns("out", "cloche.lock"))
    draw = random.Random(1)
    for number, others in needs.items():
        directory = place / f"repo/app-misc/p{number}"
        directory.mkdir()
        text = EBUILD.format(
            number=number,
            needs=" ".join(f"app-misc/p{other}" for other in others),
            seconds=draw.randint(1, 20),
            more="; die no" if number == failing else "",
        )
        (directory / f"p{number}-{number}.1.ebuild").write_text(text)
        (directory / "Manifest").touch()
    packages = ", ".join(f'"app-misc/p{number}"' for number in needs)
    (place / f"machines/{name}.toml").write_text(MACHINE.format(packages=packages))


def record(store: str, place: Path, machine: str, stream: str, *, until: int, jobs: int) -> None:
    """Build, and keep the events; after ``until`` packages it is interrupted."""
    build = subprocess.Popen(
        [sys.executable, "-m", "cloche.cli", "--store", store, "-C", str(place), "build", machine,
         "--progress", "json", "--keep-going", "--jobs", str(jobs)],
        stdout=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    lines = []
    done = 0
    assert build.stdout is not None
    for line in build.stdout:
        done += '"event":"done"' in line
        if done <= until:
            lines.append(re.sub(r'"(log|layer|depgraph)":"[^"]*"', r'"\1":null', line))
        if done == until + 1:
            build.send_signal(signal.SIGINT)
            done += 1
    build.wait()
    kept = [line for line in lines if '"delivered"' not in line]
    with gzip.GzipFile(STREAMS / f"{stream}.jsonl.gz", "wb", mtime=0) as file:
        file.write("".join(kept).encode())


def main(store: str) -> None:
    """Record all."""
    draw = random.Random(3)
    large = {n: draw.sample(range(max(0, n - 80), n), min(n // 60, 3)) for n in range(400)}
    small = {n: draw.sample(range(n), min(n, 2)) for n in range(24)}
    with tempfile.TemporaryDirectory() as name:
        project(Path(name) / "many", "many", large, failing=20)
        record(store, Path(name) / "many", "many", "many", until=60, jobs=30)
        project(Path(name) / "small", "small", small)
        for _ in range(2):
            record(store, Path(name) / "small", "small", "reused", until=1000, jobs=4)


def write_screens() -> None:
    """What the streams look like now."""
    SCREENS.mkdir(exist_ok=True)
    for name, scene in SCENES.items():
        (SCREENS / f"{name}.txt").write_text(scene.screen())


if __name__ == "__main__":
    if sys.argv[1:]:
        main(sys.argv[1])
    write_screens()
