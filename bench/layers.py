"""Roots of many layers, by every backend: `python -m bench.layers --seed DIR`, as root.

Writes docs/layers-curves.svg and the table in docs/layers.md. Each measurement is made in a process
and a mount namespace of its own; all kinds take turns.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench import facts
from bench.curves import Panel, svg
from bench.place import ROOT, BenchError, Place, say
from bench.table import Beside, Row
from cloche.layers import merge_layers
from cloche.roots import (
    backends,
    open_root,
    own_mounts,
    unions,
)

SIZES = (10, 50, 100, 200, 300, 400, 500, 1000)
SOME = {"fuse-overlayfs": (10, 100, 300), "overlay-mount2": (10, 100, 300)}
FEW = (10, 100, 1000)  # for those that make a whole tree
UNION = "union"
NAMES = {
    "overlay": "overlay, each layer a lower (nested beyond 499)",
    UNION: f"overlay over a union and {unions.TAIL} layers",
    "overlay-mount2": "the same by mount(2)",
    "fuse-overlayfs": "fuse-overlayfs",
    "hardlink": "hard links (read-only)",
    "reflink": "reflinks",
    "copy": "copies",
}
QUICK = ("overlay", UNION)
SOURCES = 12  # files of the C project, each of which includes ten headers of ten layers
MEASURES = {"mount": "open the root, ms", "walk": "first walk, ms", "compile": "compile, s"}
Result = dict[str, float]
Table = dict[str, dict[int, Result]]


def make_layers(directory: Path, number: int) -> list[Path]:
    """Make layers as packages are: a few files of their own, in directories that all share."""
    layers = []
    for n in range(number):
        layer = directory / f"{n:04}"
        names = [
            f"usr/bin/p{n}",
            f"usr/lib/libp{n}.so.1",
            f"usr/share/doc/p{n}-1/README",
            f"usr/share/man/man1/p{n}.1",
            *(f"usr/share/locale/{x}/LC_MESSAGES/p{n}.mo" for x in ("de", "es", "fr", "ja", "pl")),
            *(f"var/db/pkg/dev-libs/p{n}-1/{x}" for x in ("CONTENTS", "DEPEND", "SLOT", "USE")),
        ]
        header = layer / f"usr/include/p{n}/a.h"
        for path in [header, *(layer / name for name in names)]:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{n}\n")
        header.write_text(f"static inline int p{n}(int x) {{ return x + {n}; }}\n")
        layers.append(layer)
    return layers


def make_project(directory: Path, layers: int) -> Path:
    """Make a layer that holds a small C project, which uses headers of all heights."""
    source = directory / "src"
    source.mkdir(parents=True)
    for file in range(SOURCES):
        used = [(step * layers // 10 + file) % layers for step in range(10)]
        lines = [f"#include <p{n}/a.h>" for n in dict.fromkeys(used)]
        lines += ["#include <stdio.h>", "#include <stdlib.h>", "#include <string.h>"]
        calls = " + ".join(f"p{n}({file})" for n in dict.fromkeys(used))
        lines.append(f'int f{file}(void) {{ return printf("%d", {calls}); }}')
        (source / f"f{file}.c").write_text("\n".join(lines) + "\n")
    return directory


def one(kind: str, lowers: Sequence[Path], room: Path) -> Result:
    """Open a root in a mount namespace of our own, and use it."""
    own_mounts()
    # What a root looks up stays known in its lowers, names that are not there included: without
    # this, whoever comes first would pay for all that come after.
    Path("/proc/sys/vm/drop_caches").write_text("2")
    for lower in lowers:
        sum(1 for _ in _names(os.fsencode(lower)))
    upper = room / "upper" if kind != "hardlink" else None
    backend = "overlay" if kind == UNION else kind
    found = {}
    began = time.perf_counter()
    with open_root(lowers, room / "at", upper=upper, backend=backend) as root:
        found["mount"] = time.perf_counter() - began
        began = time.perf_counter()
        count = sum(1 for _ in _names(os.fsencode(root.path)))
        found["walk"] = time.perf_counter() - began
        found["names"] = count
        subprocess.run(["mount", "-t", "tmpfs", "tmp", root.path / "tmp"], check=True)
        script = "cd /src && for f in *.c; do gcc -O1 -c $f -o /tmp/$f.o || exit 1; done"
        began = time.perf_counter()
        subprocess.run(["chroot", root.path, "/bin/sh", "-c", script], check=True)
        found["compile"] = time.perf_counter() - began
        subprocess.run(["umount", root.path / "tmp"], check=True)
    return found


def _names(path: bytes) -> Iterator[bytes]:
    with os.scandir(path) as listing:
        for item in listing:
            item.stat(follow_symlinks=False)
            yield item.path
            if item.is_dir(follow_symlinks=False):
                yield from _names(item.path)


def measured(
    directory: Path, seed: Path, kinds: Sequence[str], sizes: Sequence[int], runs: int
) -> tuple[Table, float]:
    """The least for each kind and size (load only adds), and seconds for the tallest union."""
    layers = make_layers(directory / "layers", max(sizes))
    roots: dict[int, list[Path]] = {}
    short: dict[int, list[Path]] = {}
    took = 0.0
    for size in sizes:
        project = make_project(directory / f"project{size}", size)
        roots[size] = [seed, *layers[:size], project]
        if size > unions.TAIL:
            rest = layers[size - unions.TAIL : size]
            began = time.perf_counter()
            merge_layers(layers[: size - unions.TAIL], directory / f"union{size}")
            took = time.perf_counter() - began
            short[size] = [seed, directory / f"union{size}", *rest, project]
    os.sync()
    found: dict[tuple[str, int], list[Result]] = {}
    for number in range(runs):
        for size in sizes:
            for kind in kinds:
                stacks = short if kind == UNION else roots
                often = kind in QUICK or (not number and size in SOME.get(kind, FEW))
                if size in stacks and often:
                    result = _in_a_process(kind, stacks[size], directory)
                    found.setdefault((kind, size), []).append(result)
        say(f"round {number + 1} of {runs}")
    table: Table = {}
    for (kind, size), results in sorted(found.items(), key=lambda pair: kinds.index(pair[0][0])):
        table.setdefault(kind, {})[size] = {
            name: min(result[name] for result in results) for name in MEASURES
        }
    return table, took


def _in_a_process(kind: str, lowers: Sequence[Path], directory: Path) -> Result:
    with tempfile.TemporaryDirectory(dir=directory) as name:
        for part in ("at", "upper"):
            (Path(name) / part).mkdir()
        request = json.dumps([kind, list(map(str, lowers)), name])
        done = subprocess.run(
            [sys.executable, "-m", "bench.layers", "--one"],
            input=request,
            capture_output=True,
            text=True,
            cwd=ROOT,
            check=False,
        )
        if done.returncode:
            raise BenchError(f"{kind}, {len(lowers)} lowers: {done.stderr[-2000:]}")
        result: Result = json.loads(done.stdout)
        return result


def rows(place: Place, seed: Path, size: int, runs: int) -> list[Row]:
    """The short form for docs/benchmarks.md: one height, with a union and without."""
    directory = place.directory / "many"
    directory.mkdir()
    table, _ = measured(directory, seed, QUICK, (size,), runs)
    place.removed(directory)
    stacked, union = table["overlay"][size], table[UNION][size]
    return [
        Row(
            f"a root of {size} layers over a union: {title.rpartition(',')[0]} (least of {runs})",
            union[name] * (1000 if title.endswith("ms") else 1),
            title.rpartition(" ")[2],
            Beside(stacked[name] * (1000 if title.endswith("ms") else 1), "each layer a lower"),
            runs=runs,
        )
        for name, title in MEASURES.items()
    ]


def panels(table: Table) -> list[Panel]:
    """The three plots."""
    return [
        Panel(
            title,
            "layers over the seed",
            {
                NAMES[kind]: [
                    (size, found[size][measure] * (1000 if title.endswith("ms") else 1))
                    for size in sorted(found)
                ]
                for kind, found in table.items()
            },
        )
        for measure, title in MEASURES.items()
    ]


def lines(table: Table, about: Sequence[tuple[str, str]], took: float) -> list[str]:
    """The table for people, in Markdown."""
    made = [f"Measured {dict(about)['date']}: " + ", ".join(f"{k} {v}" for k, v in about[1:]), ""]
    made += [
        "| layers | how | open, ms | first walk, ms | compile, s |",
        "| ---: | --- | ---: | ---: | ---: |",
    ]
    for size in sorted({size for found in table.values() for size in found}):
        for kind, found in table.items():
            if size in found:
                one = found[size]
                made.append(
                    f"| {size} | {NAMES[kind]} | {one['mount'] * 1000:.1f} | "
                    f"{one['walk'] * 1000:.0f} | {one['compile']:.2f} |"
                )
    size = max(table[UNION])
    count = size - unions.TAIL
    made += ["", f"Making the union of {count} layers, once: {took * 1000:.0f} ms."]
    return made


def put(file: Path, text: Sequence[str]) -> None:
    """Put lines between the two marks of a document."""
    head, _, rest = file.read_text().partition("<!-- measured -->\n")
    _, _, tail = rest.partition("<!-- end -->\n")
    file.write_text("\n".join([f"{head}<!-- measured -->", *text, f"<!-- end -->\n{tail}"]))


def main() -> int:
    """Parse, measure, write; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=Path, help="a root with gcc, as a seed in a store")
    parser.add_argument(
        "--quick", action="store_true", help="two kinds, few sizes, nothing written"
    )
    parser.add_argument("--runs", type=int, default=3, help="of each; the least counts [3]")
    options = parser.parse_args()
    if options.one:
        kind, lowers, room = json.load(sys.stdin)
        sys.stdout.write(json.dumps(one(kind, [Path(lower) for lower in lowers], Path(room))))
        return 0
    if options.seed is None:
        parser.error("--seed is needed")
    load = os.getloadavg()[0]
    parent = os.environ.get("TMPDIR", "/var/tmp")  # not /tmp: that may be memory
    with tempfile.TemporaryDirectory(prefix="cloche-bench-", dir=parent) as name:
        directory = Path(name)
        there = [found.name for found in backends(directory) if found.there]
        kinds = [kind for kind in NAMES if kind in there or kind == UNION]
        sizes: Sequence[int] = SIZES
        if options.quick:
            kinds, sizes = list(QUICK), (10, 100, 300)
        table, took = measured(directory, options.seed, kinds, sizes, options.runs)
        about = list(facts.about(directory, load))[:7]
        Place(directory, directory).removed(directory / "layers")
    text = lines(table, about, took)
    sys.stdout.write("\n".join(text) + "\n")
    if not options.quick:
        put(ROOT / "docs" / "layers.md", text)
        (ROOT / "docs" / "layers-curves.svg").write_text(svg(panels(table)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
