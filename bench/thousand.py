"""cloche itself on a plan of a thousand packages, all done already: memory and time.

Run as a program of its own, so that nothing else is in the process that is measured.
"""

from __future__ import annotations

import hashlib
import json
import random
import sys
import time
from pathlib import Path

from bench.place import ROOT, Place, run
from bench.table import Aim, Beside, Row
from cloche.building.context import BuildContext, Inputs, Policy
from cloche.building.livepins import Live
from cloche.building.machine import build_machine
from cloche.building.packages import Builder, Made
from cloche.layers import Layer
from cloche.plan.depgraph import (
    Depgraph,
    Distfile,
    Edge,
    Package,
    decode_depgraph,
    encode_depgraph,
)
from cloche.plan.plan import make_plan
from cloche.sandbox.native import NativeEngine
from cloche.store import Action, Blob, Store, Tree
from cloche.tasks.jobserver import Jobserver
from cloche.tasks.worker import Worker

KINDS = (("buildtime",), ("runtime",), ("buildtime", "runtime"), ("buildtime", "runtime"))


def sha(text: str) -> str:
    """A digest for what has none."""
    return hashlib.sha256(text.encode()).hexdigest()


def synthetic(number: int) -> Depgraph:
    """A graph as large trees have it: few dependencies each, most of them on a few libraries."""
    chance = random.Random(1)
    packages: list[Package] = []
    for place in range(number):
        wanted = min(place, chance.randint(2, 14))
        targets = {int(place * chance.random() ** 3) for _ in range(wanted)}
        packages.append(_package(place, chance, [packages[t] for t in sorted(targets)]))
    return Depgraph(tuple(packages), "3")


def _package(place: int, chance: random.Random, targets: list[Package]) -> Package:
    category, pn = f"dev-part{place % 40}", f"package-{place}"
    pf = f"{pn}-1.{place % 10}.3"
    flags = tuple(f"flag{n}" for n in range(chance.randint(0, 12)))
    digests = {"BLAKE2B": sha(pf) * 2, "SHA512": sha(pn) * 2}
    return Package(
        id=f"{category}/{pf}::big",
        cpv=f"{category}/{pf}",
        category=category,
        pn=pn,
        pf=pf,
        version=f"1.{place % 10}.3",
        slot="0",
        sub_slot="0",
        repo="big",
        eapi="8",
        ebuild=f"{category}/{pn}/{pf}.ebuild",
        use=flags[::2],
        iuse=flags,
        requested=place % 20 == 0,
        edges=tuple(Edge(t.id, chance.choice(KINDS), f">={t.cpv}:0=") for t in targets),
        inherited=("toolchain-funcs", "multilib", "flag-o-matic"),
        defined_phases=("configure", "install"),
        distfiles=(Distfile(f"{pf}.tar.xz", 1 << 20, digests, (f"mirror://big/{pf}.tar.xz",)),),
        environment={f"VARIABLE_{n}": f"{n} " * 12 for n in range(20)},
    )


def inputs_of(graph: Depgraph) -> dict[str, dict[str, str]]:
    """Digests of the files of each package."""
    return {
        package.id: {
            "ebuild": sha(package.ebuild),
            **{f"eclass/{name}": sha(name) for name in package.inherited},
        }
        for package in graph.packages
    }


def context_of(store: Store, engine: NativeEngine, jobserver: Jobserver) -> BuildContext:
    """A context over a seed that nobody enters."""
    seed = Layer(sha("seed"), store.layers / sha("seed"), "seed", "seed", 0, 0)
    inputs = Inputs("big", (seed,), {}, {}, ("big", "default"), sha("guest"))
    worker = Worker(store, engine, jobserver=jobserver)
    policy = Policy(offline=True)
    return BuildContext(worker, inputs, policy, Live())


def record(directory: Path, number: int) -> None:
    """Make a store in which every step of the plan is done.

    Its trees and files are entered without the care for power cuts that a real one takes.
    """
    graph = synthetic(number)
    with NativeEngine() as engine, Store.open(directory / "store") as store:
        jobserver = Jobserver(directory / "fifo", 2)
        context = context_of(store, engine, jobserver)
        builder = Builder(context, make_plan(graph), "", inputs_of(graph), {})
        done: dict[str, Made] = {}
        for package in graph.packages:
            key = builder.build_key(package, builder.seen_by_build(package, done))
            gpkg = _file(store, sha(f"gpkg {package.id}"), package.cpv, b"")
            parts, now = key.parts, time.time()
            store.record(
                Action(key.digest, "build", package.id, parts, {"gpkg": gpkg}, 60.0, None, now)
            )
            key = builder.merge_key(package, gpkg, builder.seen_by_merge(package, done))
            outputs = {"gpkg": gpkg, "layer": _tree(store, sha(package.id), package.cpv)}
            store.record(
                Action(key.digest, "merge", package.id, key.parts, outputs, 1.0, None, now)
            )
            done[package.id] = Made(gpkg, outputs["layer"], key.digest)
        _file(store, sha("graph"), "depgraph", encode_depgraph(graph))
        jobserver.close()


def _file(store: Store, id: str, label: str, content: bytes) -> str:
    place = store.blobs / id
    place.write_bytes(content)
    store.index.add_blob(Blob(id, label, len(content), time.time(), place))
    return id


def _tree(store: Store, id: str, label: str) -> str:
    place = store.layers / id
    place.mkdir()
    store.index.add_tree(Tree(id, "package", label, id, 100, 1 << 20, time.time(), place))
    return id


def carry_out(directory: Path) -> dict[str, float]:
    """Plan and carry out what is done already; give seconds and peak memory in MB."""
    began = time.monotonic()
    with NativeEngine() as engine, Store.open(directory / "store") as store:
        jobserver = Jobserver(directory / "fifo", 2)
        context = context_of(store, engine, jobserver)
        graph = decode_depgraph(store.blob(sha("graph")).path.read_bytes())
        builder = Builder(context, make_plan(graph), sha("graph"), inputs_of(graph), {})
        built = build_machine(builder)
        jobserver.close()
    if built.reused != len(graph.packages):
        raise AssertionError(built.built)
    return {"seconds": time.monotonic() - began, "peak": peak(), "edges": _edges(graph)}


def _edges(graph: Depgraph) -> int:
    return sum(len(package.edges) for package in graph.packages)


def peak() -> float:
    """The greatest resident set that this process ever had, in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1e3


BARE = "print(next(line.split()[1] for line in open('/proc/self/status') if line[:5] == 'VmHWM'))"


def rows(place: Place, number: int) -> list[Row]:
    """Record a plan, then carry it out in a process of its own."""
    directory = place.directory / "thousand"
    directory.mkdir()
    program = (sys.executable, "-m", "bench.thousand")
    run((*program, "record", directory, str(number)), cwd=ROOT)
    told = json.loads(run((*program, "carry-out", directory), cwd=ROOT).out)
    bare = int(run((sys.executable, "-c", BARE)).out) / 1e3
    place.removed(directory)
    what = f"a plan of {number:,} packages and {told['edges']:,} edges, all done already"
    beside = Beside(bare, "a Python that does nothing")
    return [
        Row(f"{what}: peak memory", told["peak"], "MB", beside, Aim(150, of="value")),
        Row(
            f"{what}: planned, keys computed, looked up",
            told["seconds"],
            "s",
            aim=Aim(2, of="value"),
        ),
    ]


if __name__ == "__main__":
    if sys.argv[1] == "record":
        record(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        print(json.dumps(carry_out(Path(sys.argv[2]))))
