"""Two workers in network namespaces of their own, with TLS; one of them is cut off."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable

import pytest
from tests.cluster.networks import certificates, network, tls_words
from tests.cluster.running import Site, processes, slow_machine, wait_for
from tests.faults.looking import PROJECT
from tests.support import Store, cannot, project

pytestmark = pytest.mark.real


def test_hosts_with_tls_go_on_when_one_of_them_is_cut_off(
    root_seeded: Store, fresh: Callable[[Store], Store], cluster: Site
) -> None:
    if os.geteuid() != 0 or shutil.which("ip") is None:
        cannot("network namespaces need root and ip(8)")
    home, stores = fresh(root_seeded), {name: fresh(root_seeded) for name in ("one", "two")}
    place = project(root_seeded, PROJECT)
    files, strangers = certificates(cluster.room), certificates(cluster.room, "stranger")
    ours, theirs = tls_words(files), tls_words(strangers)
    machine = slow_machine(place, 8, "slow")
    with network("plan", "one", "two") as net:
        address = f"tls://{net.address('plan')}:8786"
        cluster.prefix = net.inside("plan")
        dask = ("--tls-ca-file", ours[1], "--tls-cert", ours[3], "--tls-key", ours[5])
        cluster.scheduler(8786, "--protocol", "tls", *dask, host=net.address("plan"))
        workers = {}
        for name, store in stores.items():
            cluster.prefix = net.inside(name)
            workers[name] = cluster.worker(store, address, name, "--cores", "1", *ours)
        cluster.prefix = net.inside("plan")

        refused = cluster.build(home, place, "fine", "--cluster", address, *theirs)
        refused.ends(3)
        assert "no scheduler answers" in refused.process.text

        build = cluster.build(home, place, machine, "--cluster", address, *ours)
        build.begun("compile")
        wait_for(lambda: processes("cluster-slow-main"))
        made = {
            name: list((store.path / "logs").glob("late/*/*")) for name, store in stores.items()
        }
        (busy,) = (name for name, logs in made.items() if logs)
        (other,) = stores.keys() - {busy}
        net.cut(busy)
        build.ends(seconds=90)
        assert f"the worker {busy} is lost; {other} has its task" in build.notes
        assert list((stores[other].path / "logs").glob("late/*/*"))
        wait_for(lambda: not processes("cluster-slow-child"), 30)  # the one cut off has stopped

        net.heal(busy)
        wait_for(lambda: workers[busy].text.count("working for") == 2, 90)
        workers[other].end()
        again = cluster.build(home, place, "fine", "--cluster", address, *ours)
        again.ends()
        assert again.built
        assert list((stores[busy].path / "logs").glob("good/*/*"))
    shutil.rmtree(place.parent)
