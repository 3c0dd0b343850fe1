"""`cloche-distcc` beside distcc: what it adds to a compile, and cold builds with hosts."""

from __future__ import annotations

import shutil
import statistics
import time
from pathlib import Path

from tests.distcc.farm import Desk, Farm, desk, farm

from bench.compiling import WHERE, make_project
from bench.place import BenchError, Place
from bench.table import Aim, Beside, Row, median_row
from cloche.distcc.install import install

MAKEFILE = """\
OBJECTS := $(patsubst %.c,%.o,$(wildcard *.c))
all: $(OBJECTS)
\tgcc $(OBJECTS) -o all
%.o: %.c
\t$(CC) -pipe -O2 -c $< -o $@
"""


def rows(place: Place, compiles: int, builds: int) -> list[Row]:
    """All rows."""
    wrapper = install(place.directory / "wrapper")[0]
    with farm() as hosts:
        return [
            *added_rows(hosts, place.directory, wrapper, compiles),
            _build_row(hosts, place.directory, wrapper, ("one",), builds),
            _build_row(hosts, place.directory, wrapper, ("one", "two"), builds),
        ]


def added_rows(hosts: Farm, room: Path, wrapper: Path, compiles: int) -> list[Row]:
    """One small compile after the other, in turns: one that succeeds, and one that fails."""
    here = desk(hosts, room / "adding", wrapper, "one")
    found: list[Row] = []
    for file, what, plain_one in (
        ("good.c", "succeeds", "distcc"),
        ("bad.c", "fails, and is repeated locally", "distcc, which then avoids the host"),
    ):
        took: dict[str, list[float]] = {"distcc": [], str(wrapper): []}
        for _ in range(compiles):
            for program, times in took.items():
                times.append(1000 * _timed(here, program, "gcc", "-c", file))
        plain, ours = took.values()
        beside = (plain, plain_one)
        found.append(median_row(f"a compile that {what}", ours, "ms", beside))
        if file == "good.c":
            added = statistics.median(b - a for a, b in zip(plain, ours, strict=True))
            row = Row("what cloche-distcc adds to it", added, "ms", None, Aim(3, "value"), compiles)
            found.append(row)
    return found


def _build_row(hosts: Farm, room: Path, wrapper: Path, names: tuple[str, ...], builds: int) -> Row:
    """A cold build; the ratio is the median of the rounds' ratios."""
    ours: list[float] = []
    plain: list[float] = []
    for number in range(builds):
        for program, times in ((str(wrapper), ours), ("distcc", plain)):
            place = room / f"build-{len(names)}-{number}-{Path(program).name}"
            here = desk(hosts, place, wrapper, *names)
            make_project(place)
            (place / WHERE / "Makefile").write_text(MAKEFILE)
            words = ("make", "-s", "-C", WHERE, "-j8", f"CC={program} gcc")
            times.append(_timed(here, *words))
            shutil.rmtree(place)
    ratio = statistics.median(a / b for a, b in zip(ours, plain, strict=True))
    beside = Beside(statistics.median(plain), "distcc, the same")
    count = "one host" if len(names) == 1 else "two hosts"
    return Row(f"a cold build of 13 C files with {count}", ratio * beside.value, "s", beside,
               Aim(1.03), builds)  # fmt: skip


def _timed(here: Desk, *words: str) -> float:
    began = time.monotonic()
    done = here.run(*words)
    if done.returncode not in (0, 1):
        raise BenchError(f"{' '.join(words)}: {done.stderr.decode(errors='replace')}")
    return time.monotonic() - began
