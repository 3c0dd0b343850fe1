"""A real registry as a common place for layers (docker-registry, of Debian)."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
from tests import support, values
from tests.cluster.running import Site, free_port, wait_for
from tests.faults.looking import PROJECT
from tests.support import cannot
from tests.tasks.test_tasks_transfer import rich

from cloche.cluster.errors import ClusterError, TransferError
from cloche.cluster.registry import LAYER, MANIFEST, Registry
from cloche.cluster.sharing import Sharing
from cloche.store import Store, exact_digest, walk

pytestmark = pytest.mark.real

CONFIGURATION = """\
version: 0.1
log: {{accesslog: {{disabled: true}}, level: error}}
storage: {{filesystem: {{rootdirectory: {room}}}, delete: {{enabled: true}}}}
http: {{addr: "127.0.0.1:{port}"}}
"""


@pytest.fixture
def registry(cluster: Site) -> Registry:
    if shutil.which("docker-registry") is None:
        cannot("docker-registry is missing")
    port = free_port()
    file = cluster.room / "config.yml"
    file.write_text(CONFIGURATION.format(room=cluster.room / "registry", port=port))
    cluster.start(["docker-registry", "serve", file])

    def up() -> bool:
        try:
            return requests.get(f"http://127.0.0.1:{port}/v2/", timeout=30).ok
        except requests.ConnectionError:
            return False

    wait_for(up)
    return Registry(f"http://127.0.0.1:{port}/cloche/layers")


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[tuple[Store, Store]]:
    with Store.open(tmp_path / "giver") as giver, Store.open(tmp_path / "taker") as taker:
        yield giver, taker


def test_a_layer_goes_there_once_and_comes_back_as_it_was(
    registry: Registry, stores: tuple[Store, Store]
) -> None:
    giver, taker = stores
    layer, other = rich(giver), values.stored(giver, "c/b-1", b="b")
    assert registry.put(layer.id, giver)
    assert not registry.put(layer.id, giver)
    assert registry.take([layer.id, other.id], taker) == (layer.id,)
    assert registry.take([layer.id], taker) == ()
    tree = taker.tree(layer.id)
    assert exact_digest(walk(tree.path)) == tree.exact == giver.tree(layer.id).exact


def test_it_is_an_artifact_that_other_programs_understand(
    registry: Registry, stores: tuple[Store, Store]
) -> None:
    layer = rich(stores[0])
    registry.put(layer.id, stores[0])
    answer = requests.get(
        f"{registry.api}/manifests/{layer.id}", headers={"Accept": MANIFEST}, timeout=30
    )
    manifest = json.loads(answer.content)
    assert manifest["schemaVersion"] == 2
    assert manifest["artifactType"] == LAYER
    assert [each["mediaType"] for each in manifest["layers"]] == [LAYER]
    tags = requests.get(f"{registry.api}/tags/list", timeout=30).json()["tags"]
    assert tags == [layer.id]


def damaged(cluster: Site, change: Callable[[bytes], bytes]) -> None:
    """Change the largest blob of the registry."""
    files = [each for each in (cluster.room / "registry").rglob("data") if each.is_file()]
    largest = max(files, key=lambda each: each.stat().st_size)
    largest.write_bytes(change(largest.read_bytes()))


def changed(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 0xFF]) + data[middle + 1 :]


@pytest.mark.parametrize("change", [changed, lambda data: data[:100]], ids=["changed", "cut"])
def test_a_damaged_layer_is_refused(
    change: Callable[[bytes], bytes],
    registry: Registry,
    stores: tuple[Store, Store],
    cluster: Site,
) -> None:
    giver, taker = stores
    layer = values.stored(giver, "c/a-1", **{str(n): f"text {n * n}" * 99 for n in range(300)})
    registry.put(layer.id, giver)
    damaged(cluster, change)
    with pytest.raises((TransferError, ClusterError)):
        registry.take([layer.id], taker)
    assert taker.trees() == []


def test_a_layer_under_another_ones_tag_is_refused(
    registry: Registry, stores: tuple[Store, Store]
) -> None:
    giver, taker = stores
    one, two = (values.stored(giver, f"c/{name}-1", etc=name) for name in "ab")
    registry.put(one.id, giver)
    manifest = requests.get(
        f"{registry.api}/manifests/{one.id}", headers={"Accept": MANIFEST}, timeout=30
    )
    requests.put(
        f"{registry.api}/manifests/{two.id}",
        data=manifest.content,
        headers={"Content-Type": MANIFEST},
        timeout=30,
    ).raise_for_status()
    with pytest.raises(TransferError, match="another tree"):
        registry.take([two.id], taker)


def test_a_worker_goes_on_without_its_registry(stores: tuple[Store, Store]) -> None:
    said: list[str] = []
    sharing = Sharing(Registry(f"http://127.0.0.1:{free_port()}/none"), stores[0], said.append)
    layer = rich(stores[0])
    sharing.take(["0" * 64])
    sharing.put([layer.id])
    sharing.close()
    assert said
    assert all("the registry is not reached" in each for each in said)


@pytest.mark.parametrize("url", ["", "host/name", "ftp://host/name", "http://host", "http:///name"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ClusterError, match="is not the address of a registry"):
        Registry(url).check()


def test_workers_leave_their_layers_there_and_take_them_from_there(
    registry: Registry,
    root_seeded: support.Store,
    fresh: Callable[[support.Store], support.Store],
    cluster: Site,
) -> None:
    home, one = fresh(root_seeded), fresh(root_seeded)
    place = support.project(root_seeded, PROJECT)
    port = free_port()
    address = f"tcp://127.0.0.1:{port}"
    cluster.scheduler(port)
    worker = cluster.worker(one, address, "one", "--registry", registry.url)
    build = cluster.build(home, place, "chain", "--cluster", address)
    build.ends()

    def tags() -> set[str]:
        answer = requests.get(f"{registry.api}/tags/list", timeout=30)
        return set(answer.json().get("tags") or ()) if answer.ok else set()

    layers = set(build.layers.values())
    wait_for(lambda: layers <= tags())
    assert worker.end() == 0
    with Store.open(cluster.room / "empty") as empty:  # another worker's would do the same
        assert set(registry.take(layers, empty)) == layers
    shutil.rmtree(place.parent)
