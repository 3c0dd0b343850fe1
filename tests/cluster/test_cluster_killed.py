"""Workers and schedulers killed at random moments: `make proof-cluster`."""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Callable

import pytest
from tests.cluster.running import Process, Site, free_port
from tests.faults.looking import PROJECT
from tests.support import Store, project

pytestmark = [pytest.mark.real, pytest.mark.proof(name="cluster")]

MACHINE = "chain"
MOMENTS = 30


def test_whatever_is_killed_when_the_plan_goes_on_to_the_same_layers(
    root_seeded: Store,
    fresh: Callable[[Store], Store],
    cluster: Site,
) -> None:
    place = project(root_seeded, PROJECT)
    chance = random.Random(f"{time.time()}")
    alone = cluster.build(fresh(root_seeded), place, MACHINE)
    alone.ends()
    took = alone.events()[-1]["time"] - alone.events()[0]["time"]
    port = free_port()
    address = f"tcp://127.0.0.1:{port}"
    scheduler = cluster.scheduler(port)
    stores = {name: fresh(root_seeded) for name in ("one", "two")}
    workers = {name: cluster.worker(store, address, name) for name, store in stores.items()}
    for moment in range(MOMENTS):
        home = fresh(root_seeded)
        build = cluster.build(home, place, MACHINE, "--cluster", address)
        build.begun("setup" if moment % 2 else "compile")
        pause = chance.uniform(0, 1.5 * took)
        time.sleep(pause)
        victim = chance.choice(["scheduler", "one", "two"])
        print(f"moment {moment}: {victim} is killed after {pause:.2f} s")
        if victim == "scheduler":
            _killed(scheduler)
            scheduler = cluster.scheduler(port)
        else:
            _killed(workers[victim])
            workers[victim] = cluster.worker(stores[victim], address, victim)
        build.ends(seconds=240)
        assert build.layers == alone.layers
        home.cloche("store", "verify", check=True)
        shutil.rmtree(home.path)
    for name, store in stores.items():
        workers[name].end()
        store.cloche("store", "verify", check=True)
        assert not list((store.path / "tmp").iterdir())
    shutil.rmtree(place.parent)


def _killed(victim: Process) -> None:
    victim.kill()
    victim.process.wait()
