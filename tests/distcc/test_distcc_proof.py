"""`make proof-distcc`: configure scripts beside other work, and distcc with the patch of contrib/.

The figures are printed; docs/distcc.md has those of one machine.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.distcc.farm import Desk, Farm, desk, shim
from tests.distcc.sources import unpacked
from tests.distcc.test_distcc_wrapper import GCC, OTHER_STATUS, SLOW, name_of
from tests.support import ROOT, cannot

pytestmark = [pytest.mark.real, pytest.mark.proof(name="distcc")]

#: distcc compiles autoconf's conftest.c itself, wherever it can; these have configure scripts of
#: their own, as CMake and Meson have names of their own.
PACKAGES = {
    "zlib": ("--static",),
    "libvpx": ("--target=generic-gnu", "--disable-unit-tests"),
    "ffmpeg": ("--disable-x86asm", "--disable-autodetect"),
}
PATCH = ROOT / "contrib/distcc/keep-good-hosts.patch"
BARE = ("--disable-pump-mode", "--with-included-popt", "--without-avahi", "--without-libiberty",
        "--disable-Werror")  # fmt: skip


@pytest.fixture(scope="module")
def patched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program distcc, of Debian's source with the patch."""
    if any(shutil.which(name) is None for name in ("autoconf", "automake", "patch", "make")):
        cannot("distcc is built with autoconf, automake, patch and make")
    (place,) = unpacked(tmp_path_factory.mktemp("patched"), "distcc")
    for words in (
        ("patch", "-p1", "--fuzz=0", "-i", str(PATCH)),
        ("sh", "autogen.sh"),
        ("./configure", *BARE),
        ("make", "-j2", "distcc"),
    ):
        done = subprocess.run(words, cwd=place, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return place / "distcc"


@dataclass
class Watch:
    """Whether the host is disliked, looked at all the time."""

    here: Desk
    looks: int = 0
    seen: int = 0
    over: threading.Event = field(default_factory=threading.Event)

    def __call__(self) -> None:
        while not self.over.wait(0.005):
            self.looks += 1
            self.seen += bool(self.here.disliked)


@dataclass
class Configured:
    """What came of configure; ``there`` counts the compiles that the host ran."""

    there: int
    disliked: float
    seconds: float
    results: dict[str, str]


def configured(here: Desk, program: str, sources: list[Path]) -> Configured:
    """Run the configure scripts of several packages at once."""
    watch = Watch(here)
    thread = threading.Thread(target=watch)
    thread.start()
    began = time.monotonic()
    try:
        places = [here.place / "build" / source.name for source in sources]
        running = []
        for place, source in zip(places, sources, strict=True):
            place.mkdir(parents=True)
            words = ("sh", f"{source}/configure", *PACKAGES[source.name])
            if source.name == "ffmpeg":
                words += (f"--cc={program}",)
            script = 'cd "$1" && shift && exec "$@" >out 2>&1'
            more = {"DISTCC_LOG": str(here.place / "log"), "CC": program}
            running.append(here.start("sh", "-c", script, "sh", str(place), *words, **more))
        for process in running:
            process.communicate()
            assert process.returncode == 0
    finally:
        seconds = time.monotonic() - began
        watch.over.set()
        thread.join()
    headers = (header for place in places for header in sorted(place.rglob("*.h")))
    results = {header.name: _told(header.read_text()) for header in headers}
    log = here.log if (here.place / "log").exists() else ""
    return Configured(
        len(re.findall(r"compile \S+ on 10\S+ (?:completed ok|failed)", log)),
        watch.seen / max(1, watch.looks),
        seconds,
        results,
    )


def _told(text: str) -> str:
    """What a header says, but for the words of configure."""
    return "\n".join(line for line in text.splitlines() if "CONFIGURATION" not in line)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return unpacked(tmp_path_factory.mktemp("sources"), *PACKAGES)


def test_configure_scripts_keep_the_host(
    hosts: Farm, tmp_path: Path, wrapper: Path, patched: Path, sources: list[Path],
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    hosts.serve("one")
    results = {}
    programs = {"distcc": "distcc gcc", "patched": f"{patched} gcc",
                "cloche-distcc": f"{wrapper} gcc"}  # fmt: skip
    for name, program in programs.items():
        here = desk(hosts, tmp_path / name, wrapper, "one")
        results[name] = configured(here, program, sources)
        found = results[name]
        with capsys.disabled():
            print(
                f"\n{name}: {found.there} compiles sent, the host disliked"
                f" {100 * found.disliked:.1f} % of {found.seconds:.0f} s"
                f" (load {os.getloadavg()[0]:.1f})"
            )
    assert results["distcc"].disliked > 0
    for name in ("cloche-distcc", "patched"):
        assert results[name].disliked == 0
    sent = {name: found.there for name, found in results.items()}
    assert sent["distcc"] < sent["cloche-distcc"] == sent["patched"]
    assert all(each.results == results["distcc"].results for each in results.values())


@pytest.fixture
def at(hosts: Farm, tmp_path: Path, patched: Path) -> Iterator[object]:
    def made(local: str = GCC + ' "$@"', remote: str = GCC + ' "$@"', **more: str) -> Desk:
        path = f"{shim(tmp_path / 'bin/gcc', local).parent}:/usr/bin:/bin"
        hosts.serve("one", str(shim(hosts.room / "served/gcc", remote).parent))
        return desk(hosts, tmp_path / "desk", patched, "one", PATH=path, **more)

    return made


def test_the_patched_distcc_blames_whom_it_should(at, hosts: Farm, tmp_path: Path) -> None:
    here = at(OTHER_STATUS)
    program = str(here.wrapper)
    assert here.run(program, "gcc", "-c", "bad.c").returncode == 2
    assert here.run(program, "gcc", "-c", "missing.c", DISTCC_FALLBACK="0").returncode == 1
    assert here.disliked == set()
    hosts.serve("one", str(shim(hosts.room / "broken/gcc", "exit 1").parent))
    assert here.run(program, "gcc", "-c", "good.c").returncode == 0
    assert here.disliked == {name_of(hosts)}
    (here.place / "distcc/lock" / name_of(hosts)).unlink()
    hosts.serve("one", str(shim(hosts.room / "killed/gcc", "kill -9 $$").parent))
    assert here.run(program, "gcc", "-c", "bad.c").returncode == 2
    assert here.disliked == set()
    assert here.run(program, "gcc", "-c", "good.c").returncode == 0
    assert here.disliked == {name_of(hosts)}
    hosts.stop("one")
    (here.place / "distcc/lock" / name_of(hosts)).unlink()
    assert here.run(program, "gcc", "-c", "good.c").returncode == 0
    assert here.disliked == {name_of(hosts)}


def test_the_patched_distcc_lets_others_use_the_host_meanwhile(at) -> None:
    here = at(SLOW)
    program = str(here.wrapper)
    failing = here.start(program, "gcc", "-c", "bad.c", DISTCC_LOG="failing")
    time.sleep(0.7)
    here.run(program, "gcc", "-c", "good.c", DISTCC_LOG="log")
    assert failing.poll() is None
    assert "on 10.99.7.2/8 completed ok" in here.log
    failing.communicate()
    assert failing.returncode == 1
