"""`cloche cluster up`, and a build there: the same layers as on one host."""

from __future__ import annotations

import signal
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cluster.running import Site, free_port, processes, wait_for
from tests.machine import tiny
from tests.support import Store, project

pytestmark = pytest.mark.real


def test_a_cluster_builds_the_same_layers_and_ends_cleanly(
    seeded: Store, fresh: Callable[[Store], Store], cluster: Site
) -> None:
    store, port = fresh(seeded), free_port()
    stores = Path(tempfile.mkdtemp(prefix="workers-", dir=store.user.home))
    store.user.own(stores)
    words = ("cluster", "up", "--workers", "2", "--port", str(port), "--stores", stores)
    own = cluster.room / "tmp"  # what Dask would leave in /tmp
    own.mkdir()
    store.user.own(own)
    up = cluster.start(
        store.user.command("--store", store.path, *words, env={"TMPDIR": str(own)}),
        store.user,
        store.user.home,
        env={"TMPDIR": str(own)},
    )
    up.says("Next, in a project: cloche build MACHINE --cluster")
    place = project(store, tiny.PROJECT)

    build = cluster.build(store, place, "tiny", "--cluster", f"127.0.0.1:{port}")
    compiling = build.begun("compile")  # events come while it runs
    assert build.process.process.poll() is None
    events = build.ends()
    ends = [each["time"] for each in events if each.get("package") == compiling["package"]]
    assert compiling["time"] < ends[-1]
    undisturbed = tiny.built_once(seeded)
    assert build.layers == {
        each["package"]: each["layer"] for each in undisturbed.events if each["event"] == "done"
    }
    assert tiny.delivered(place / "out/tiny") == undisturbed.delivered
    logs = [Path(each["log"]) for each in events if each["event"] == "started"]
    assert len(logs) > 6
    for log in logs:  # they came back
        assert log.is_relative_to(store.path)
        assert log.with_name(f"{log.name}.gz").is_file()

    again = cluster.build(store, place, "tiny", "--cluster", f"127.0.0.1:{port}")
    again.ends()
    assert again.built == []

    up.kill(signal.SIGINT)
    assert up.process.wait(20) == 0, up.text
    assert list(own.iterdir()) == []
    wait_for(lambda: not processes(f"{store.user.python}\0-m\0cloche.cli\0--store\0{stores}"))
    for number in (1, 2):
        own = Store(stores / str(number), store.user)
        own.cloche("store", "verify", check=True)
        assert not list((own.path / "tmp").iterdir())
