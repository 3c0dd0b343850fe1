"""`make proof-cluster`: what a cluster gains and costs, each compared within one run.

The figures are printed; docs/cluster.md has those of one machine.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests import values
from tests.cluster.networks import Network, certificates, network
from tests.cluster.running import Site, free_port
from tests.support import ROOT, WORKBENCH, Store, project
from tests.tasks.test_tasks_task import FRUGAL

import cloche.store as stores
from cloche.cluster.connection import Settings
from cloche.cluster.verifying import open_cluster
from cloche.tasks.worker import Worker

pytestmark = [pytest.mark.real, pytest.mark.proof(name="cluster")]

RUNS = 3
GIGABIT = ("tbf", "rate", "1gbit", "burst", "256kb", "latency", "50ms")


def say(capsys: pytest.CaptureFixture[str], text: str) -> None:
    with capsys.disabled():
        print(f"\n{text} (load {os.getloadavg()[0]:.1f})")


def test_the_overhead_of_a_task_is_small(
    cluster: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    port = free_port()
    address = f"tcp://127.0.0.1:{port}"
    cluster.scheduler(port)
    module = ("-m", "tests.cluster.instant_worker")
    words = (tmp_path / "worker", address, "instant", "2")
    cluster.start([sys.executable, *module, *map(str, words)], cwd=ROOT).says("working for")
    with stores.Store.open(tmp_path / "home") as store, open_cluster(Settings(address)) as hosts:
        values.blob(store, "nothing")
        worker = Worker(store, engine=None)  # type: ignore[arg-type] # not used
        hosts.connect(store, lambda event: None)
        took = []
        for _ in range(120):
            began = time.perf_counter()
            hosts(FRUGAL, worker)
            took.append(1000 * (time.perf_counter() - began))
    median, slow = statistics.median(took[20:]), statistics.quantiles(took[20:], n=20)[-1]
    say(capsys, f"a task that does nothing: {median:.1f} ms, 95 % below {slow:.1f} ms")
    assert median <= 30


@pytest.fixture
def memory() -> Iterator[Path]:
    """A directory in memory: disks differ, and rsync does not wait for them."""
    room = Path(tempfile.mkdtemp(prefix="crossing-", dir="/dev/shm"))
    yield room
    shutil.rmtree(room)


@pytest.mark.parametrize("limited", [False, True], ids=["veth", "gigabit"])
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_a_layer_crosses_at_a_third_of_rsyncs_speed(
    tls: bool,
    limited: bool,
    root_seeded: Store,
    memory: Path,
    cluster: Site,
    capsys: pytest.CaptureFixture[str],
) -> None:
    giver = root_seeded.copy(memory / "giver", linked=False)
    layer = giver.seed_layer
    files = [str(file) for file in certificates(cluster.room)] if tls else []
    with network("giver", "taker") as net:
        if limited:
            device = ("tc", "qdisc", "add", "dev", "eth0", "root", *GIGABIT)
            subprocess.run([*net.inside("giver"), *device], check=True)
        scheduler = f"{'tls' if tls else 'tcp'}://{net.address('taker')}:8786"
        program = (sys.executable, "-m", "tests.cluster.crossing")
        words = ("give", str(giver.path), scheduler, *files)
        gives = cluster.start([*net.inside("giver"), *program, *words], cwd=ROOT)
        gives.says("://")
        address = gives.text.split()[-1]
        configuration = memory / "rsyncd.conf"
        # No names of hosts: without a name server, each question waits for seconds.
        whole = "reverse lookup = no\nuid = 0\ngid = 0\nuse chroot = no\n"
        configuration.write_text(f"{whole}[layer]\npath = {layer}\n")
        daemon = ("rsync", "--daemon", "--no-detach", f"--config={configuration}")
        cluster.start([*net.inside("giver"), *daemon])
        time.sleep(1)
        ours, theirs = list[float](), list[float]()
        for run in range(RUNS):
            theirs.append(_rsync(net, memory / f"rsync-{run}"))
            words = ("take", str(memory / f"taker-{run}"), scheduler, address, layer.name, *files)
            done = subprocess.run(
                [*net.inside("taker"), *program, *words],
                cwd=ROOT,
                check=True,
                capture_output=True,
                text=True,
            )
            ours.append(float(done.stdout))
            for name in (f"rsync-{run}", f"taker-{run}"):
                shutil.rmtree(memory / name)
    size = sum(each.lstat().st_size for each in layer.rglob("*") if not each.is_dir()) >> 20
    own, other = statistics.median(ours), statistics.median(theirs)
    say(
        capsys,
        f"the seed, {size} MiB, {'gigabit' if limited else 'veth'}, {'TLS' if tls else 'plain'}: "
        f"{own:.2f} s, rsync {other:.2f} s: {other / own:.2f} of its speed",
    )
    assert own <= 3 * other


def _rsync(net: Network, target: Path) -> float:
    source = f"rsync://{net.address('giver')}/layer/"
    command = [*net.inside("taker"), "rsync", "-aHAX", "--numeric-ids", source, f"{target}/"]
    began = time.monotonic()
    subprocess.run(command, check=True, capture_output=True)
    return time.monotonic() - began


def test_two_workers_are_nearly_twice_as_fast_as_one(
    root_seeded: Store,
    fresh: Callable[[Store], Store],
    cluster: Site,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Each is held to one core; both have the seed, and nothing of the workbench."""
    cores = sorted(os.sched_getaffinity(0))[:2]
    assert len(cores) == 2
    place = project(root_seeded, WORKBENCH)
    fetched = fresh(root_seeded)  # before: the hosts have no way out
    fetched.cloche("fetch", "workbench", cwd=place, check=True)
    took, busy = dict[int, float](), dict[int, float]()  # by the number of workers
    layers = list[dict[str, str]]()
    with network("plan", "one", "two") as net:
        for number in (1, 2):
            cluster.prefix = net.inside("plan")
            scheduler = cluster.scheduler(8786, host=net.address("plan"))
            address = f"tcp://{net.address('plan')}:8786"
            for name, core in list(zip(("one", "two"), cores, strict=True))[:number]:
                cluster.prefix = (*net.inside(name), "taskset", "-c", str(core))
                cluster.worker(fresh(root_seeded), address, name)
            cluster.prefix = net.inside("plan")
            home = fresh(fetched)
            out = cluster.room / f"out-{number}"
            build = cluster.build(
                home, place, "workbench", "--offline", "--cluster", address, "-o", out
            )
            events = build.ends(seconds=1500)
            (finished,) = (each for each in events if each["event"] == "finished")
            took[number] = finished["seconds"]
            done = [each for each in events if each["event"] == "done"]
            worked = sum(each["worked"].get("build", 0.0) for each in done)
            busy[number] = worked / (number * took[number])
            layers.append(build.layers)
            for each in [*reversed(cluster.started)]:
                each.end()
            scheduler.end()
    say(
        capsys,
        f"the workbench: one worker {took[1]:.1f} s, two {took[2]:.1f} s: "
        f"{took[1] / took[2]:.2f} times as fast; "
        f"building {busy[1]:.0%} of the time, of two {busy[2]:.0%}",
    )
    assert layers[0] == layers[1]
    assert took[1] / took[2] >= 1.8
