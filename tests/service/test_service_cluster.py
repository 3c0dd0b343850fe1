"""`cloche serve --cluster`: workers of a Dask cluster build what targets ask for."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cluster.running import free_port, site
from tests.service.serving import Server, served
from tests.support import Store, project
from tests.targets.described import PROJECT, described

pytestmark = pytest.mark.real


def test_a_worker_builds_what_a_target_asks_for(root_seeded: Store, tmp_path: Path) -> None:
    store, other = (root_seeded.copy(tmp_path / name) for name in ("store", "worker"))
    port = free_port()
    words = ("serve", "--port", "0", "--cluster", f"127.0.0.1:{port}")
    command = store.user.command("--store", store.path, *words)
    server = Server(project(store, PROJECT), command, environment=store.user.environment(None))
    with site(tmp_path) as cluster:
        cluster.scheduler(port)
        cluster.worker(other, f"127.0.0.1:{port}", "one")
        with served(server):
            target = server.enrol(described(), server.token())
            ended = server.build(target, "app-misc/stone")
            assert ended["state"] == "done", ended["error"]
            assert ended["packages"][0]["accepted"]
    assert list((other.path / "logs/app-misc/stone-1").iterdir())
