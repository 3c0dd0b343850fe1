"""The calls for programs with threads, such as the service, for root and for an ordinary user."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support import Store, project
from tests.targets.described import PROJECT

PROGRAM = """
import json, threading
from pathlib import Path
from cloche.broker.executor import Workers
from cloche.targets import calls
from cloche.targets.description import Description
from cloche.targets.levels import Level
from cloche.targets.results import Asker, Known, Offer, Place, Want

place = Place(Path.cwd(), Path({store!r}))
target = Description(
    portage="3.0.83", arch="amd64", chost="x86_64-pc-linux-gnu", profile="local:default",
    symbols={{"GLIBC": "2.36"}},
)
into = Path.cwd() / "into"
into.mkdir()
heard = []
with Workers(1) as workers:
    seed = workers.submit(calls.examine, place, target).result().seed
    want = Want(("app-misc/tree",))
    sink = lambda event: heard.append(type(event).__name__)
    built = workers.submit(calls.build, place, "laptop", target, want, into, sink=sink).result()
    offers = tuple(
        Offer(p.gpkg, p.cpv, p.entry, p.environment, p.symbols) for p in built.packages
    )
    verdicts = workers.submit(
        calls.accept, place, "laptop", target, offers, Level.ABI
    ).result()
    known = tuple(Known(p.cpv, p.use, p.environment, p.size) for p in built.packages)
    costs = workers.submit(calls.costs, place, (Asker("laptop", target, want),), known).result()
print(json.dumps({{
    "seed": seed,
    "packages": [p.cpv for p in built.packages],
    "accepted": [v.accepted for v in verdicts],
    "heard": sorted(set(heard)),
    "ready": [c.ready for c in costs],
}}))
"""


@pytest.mark.real
def test_a_package_is_built_and_accepted_from_a_program_with_threads(
    seeded: Store, fresh: Callable[[Store], Store]
) -> None:
    store = fresh(seeded)
    place: Path = project(store, PROJECT)
    done = store.user.run_python(PROGRAM.format(store=str(store.path)), place)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["seed"] == "debian"
    assert told["packages"] == ["dev-libs/leaf-2.0", "app-misc/tree-1"]
    assert told["accepted"] == [True, True]
    assert told["ready"][-2] == 2
    assert {"Planned", "Done", "Finished"} <= set(told["heard"])
