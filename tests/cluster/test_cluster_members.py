"""A real scheduler and strangers among its workers."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest
from tests import values
from tests.cluster.running import Site, free_port, wait_for
from tests.support import ROOT
from tests.tasks.test_tasks_task import BUILD, FRUGAL

from cloche.cluster.connection import Settings
from cloche.cluster.errors import ClusterError
from cloche.cluster.verifying import open_cluster
from cloche.errors import Exit
from cloche.records.events import Event, Note
from cloche.sandbox.base import Limits
from cloche.store import Store
from cloche.tasks.worker import Worker

pytestmark = pytest.mark.real


def instant(cluster: Site, address: str, name: str) -> None:
    """A worker whose tasks take no time."""
    words = (str(cluster.room / f"store-{name}"), address, name, "1")
    module = (sys.executable, "-m", "tests.cluster.instant_worker")
    cluster.start([*module, *words], cwd=ROOT).says("working for")


def test_only_workers_of_cloche_get_tasks(cluster: Site, tmp_path: Path) -> None:
    port = free_port()
    address = f"tcp://127.0.0.1:{port}"
    notes = list[str]()

    def hear(event: Event) -> None:
        assert isinstance(event, Note)
        notes.append(event.text)

    with Store.open(tmp_path / "home") as store:
        with (
            open_cluster(Settings(address)) as hosts,
            pytest.raises(ClusterError, match="no scheduler answers") as caught,
        ):
            hosts.connect(store, hear)
        assert caught.value.status == Exit.HOST

        cluster.scheduler(port)
        with (
            open_cluster(Settings(address)) as hosts,
            pytest.raises(ClusterError, match="none has"),
        ):
            hosts.connect(store, hear)

        stranger = (sys.executable, "-m", "distributed.cli.dask_worker", address, "--no-nanny")
        started = cluster.start([*stranger, "--no-dashboard", "--name", "stranger"])
        started.says("Registered to")
        with (
            open_cluster(Settings(address)) as hosts,
            pytest.raises(ClusterError, match="it is not a worker of cloche's; start it by"),
        ):
            hosts.connect(store, hear)
        assert len(notes) == 1

        instant(cluster, address, "ours")
        with open_cluster(Settings(address)) as hosts:
            assert hosts.connect(store, hear) == 1
            assert hosts.cluster.workers() == ["ours"]


def test_a_worker_of_the_same_name_waits(cluster: Site) -> None:
    port = free_port()
    address = f"tcp://127.0.0.1:{port}"
    cluster.scheduler(port)
    instant(cluster, address, "ours")
    words = (str(cluster.room / "other"), address, "ours", "1")
    other = cluster.start([sys.executable, "-m", "tests.cluster.instant_worker", *words], cwd=ROOT)
    other.says("ours: the scheduler has another worker of this name; waiting")
    cluster.started[1].end()
    other.says("working for")


def test_a_package_that_no_worker_has_the_memory_for_fails(cluster: Site, tmp_path: Path) -> None:
    port = free_port()
    address = f"tcp://127.0.0.1:{port}"
    cluster.scheduler(port)
    instant(cluster, address, "ours")
    task = msgspec.structs.replace(BUILD, limits=Limits(memory=1 << 50))
    with Store.open(tmp_path / "home") as store, open_cluster(Settings(address)) as hosts:
        worker = Worker(store, engine=None)  # type: ignore[arg-type] # not used
        with pytest.raises(ClusterError, match=r"no worker has the 1073741824 MiB of \[limits\]"):
            hosts(task, worker)


def test_a_worker_that_came_a_moment_ago_gets_what_another_one_failed(
    cluster: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cloche.cluster.members._FRESH", 3600.0)  # a moment
    port = free_port()
    address = f"tcp://127.0.0.1:{port}"
    cluster.scheduler(port)
    hold = cluster.room / "store-full/hold"
    hold.parent.mkdir()
    instant(cluster, address, "full")
    hold.touch()
    with (
        Store.open(tmp_path / "home") as store,
        open_cluster(Settings(address)) as hosts,
        ThreadPoolExecutor(1) as pool,
    ):
        values.blob(store, "nothing")
        worker = Worker(store, engine=None)  # type: ignore[arg-type] # not used
        done = pool.submit(hosts.cluster.run, FRUGAL, worker)
        cluster.started[1].says("holding")
        instant(cluster, address, "ours")
        hold.unlink()
        assert done.result(30)[1] == "ours"


def test_a_plan_without_its_scheduler_ends_with_one_line(cluster: Site, tmp_path: Path) -> None:
    port = free_port()
    address = f"tcp://127.0.0.1:{port}"
    scheduler = cluster.scheduler(port)
    instant(cluster, address, "ours")
    settings = Settings(address, patience=2.0)
    with Store.open(tmp_path / "home") as store, open_cluster(settings) as hosts:
        worker = Worker(store, engine=None)  # type: ignore[arg-type] # not used
        hosts.connect(store, lambda event: None)
        scheduler.kill()
        scheduler.process.wait()
        with pytest.raises(ClusterError, match="no scheduler answers") as caught:
            hosts(BUILD, worker)
        assert "\n" not in str(caught.value)
        cluster.started[1].says("the scheduler is gone; waiting for it")
        cluster.scheduler(port)
        wait_for(lambda: cluster.started[1].text.count("working for") == 2)
