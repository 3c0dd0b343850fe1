"""A compile job in a sandbox over many layers, beside the same in a plain chroot."""

from __future__ import annotations

import os
import statistics
import time
from pathlib import Path

from bench.place import BenchError, Place
from bench.starts import tiny_layers
from bench.table import Aim, Beside, Row
from cloche.sandbox.base import Command, Sandbox
from cloche.sandbox.native import NativeEngine
from cloche.tasks.guestcall import ENVIRONMENT

FILES = 12
FUNCTIONS = 40  # in each file
WHERE = "var/tmp/job"
JOB = (
    "/bin/sh",
    "-c",
    f"cd /{WHERE} && for f in *.c; do gcc -pipe -O2 -c $f || exit 1; done && gcc *.o && ./a.out",
)
HEAD = """\
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
"""
FUNCTION = """\
unsigned long part_{file}_{number}(const char *text, unsigned long seed)
{{
	unsigned long sum = seed + {number}, table[64] = {{ 0 }};
	char line[128];
	for (size_t i = 0; i < strlen(text); i++) {{
		table[i % 64] ^= (sum << 5) + (sum >> 2) + (unsigned char)text[i] * {number}ul;
		sum += table[(i * 7 + {file}) % 64];
	}}
	for (int i = 0; i < 64; i++)
		for (int j = i; j < 64; j += {number} % 7 + 1)
			sum ^= table[i] * table[j] + (unsigned long)i * {file}ul;
	snprintf(line, sizeof line, "%lx-%d-%s", sum, {number}, text);
	return sum % 3 ? strtoul(line, NULL, 16) : sum;
}}
"""


def make_project(root: Path) -> None:
    """Write a small C project of some hundred functions into a tree."""
    place = root / WHERE
    place.mkdir(parents=True)
    for file in range(FILES):
        functions = [FUNCTION.format(file=file, number=n) for n in range(FUNCTIONS)]
        (place / f"part{file}.c").write_text("\n".join([HEAD, *functions]))
    names = [f"part_{file}_{n}" for file in range(FILES) for n in range(FUNCTIONS)]
    declared = "\n".join(f"unsigned long {name}(const char *, unsigned long);" for name in names)
    called = "\n".join(f'\tsum = {name}("text", sum);' for name in names)
    body = f"int main(void)\n{{\n\tunsigned long sum = 1;\n{called}\n\treturn sum == 0;\n}}\n"
    (place / "main.c").write_text(f"{declared}\n{body}")


def rows(place: Place, seed: Path, ready: Path, layers: int, rounds: int) -> list[Row]:
    """Compile in turns; seconds, and the median of the rounds' ratios."""
    tiny = tiny_layers(place, layers)
    project = place.directory / "job-layer"
    make_project(project)
    lowers = (seed, *tiny, project)
    inside: list[float] = []
    outside: list[float] = []
    with NativeEngine() as engine:
        for number in range(rounds + 1):  # the first finds nothing in memory
            if number % 2:
                inside.append(_in_sandbox(engine, lowers, place))
            outside.append(_in_chroot(ready, place))
            if number % 2 == 0:
                inside.append(_in_sandbox(engine, lowers, place))
    del inside[0], outside[0]
    place.removed(project)
    place.removed(place.directory / "tiny")
    ratio = statistics.median(a / b for a, b in zip(inside, outside, strict=True))
    # The ratio of each round, as the load of a machine changes between rounds.
    beside = Beside(statistics.median(outside), "plain chroot of a plain directory, the same job")
    what = f"compiling {FILES + 1} C files over a seed and {layers} layers"
    return [Row(what, beside.value * ratio, "s", beside, Aim(1.03), rounds)]


def _in_sandbox(engine: NativeEngine, lowers: tuple[Path, ...], place: Place) -> float:
    upper = place.directory / "job-upper"
    upper.mkdir()
    began = time.monotonic()
    ended = engine.start(Sandbox(lowers, upper=upper), Command(JOB, ENVIRONMENT)).wait()
    seconds = time.monotonic() - began
    place.removed(upper)
    if ended is None or not ended.ok:
        raise BenchError(f"the compile job failed in a sandbox: {ended}")
    return seconds


def _in_chroot(ready: Path, place: Place) -> float:
    make_project(ready)
    began = time.monotonic()
    pid = os.posix_spawnp("chroot", ("chroot", str(ready), *JOB), _environment())
    _, status = os.waitpid(pid, 0)
    seconds = time.monotonic() - began
    place.removed(ready / WHERE)
    if status:
        raise BenchError(f"the compile job failed in a chroot: {os.waitstatus_to_exitcode(status)}")
    return seconds


def _environment() -> dict[str, str]:
    return dict(ENVIRONMENT) | {"PATH": os.environ["PATH"] + ":" + ENVIRONMENT["PATH"]}
