"""Two hosts on loopback: what one has, the other takes; also over connections that break."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests import values
from tests.tasks.test_tasks_transfer import rich

from cloche.cluster import frames, taking
from cloche.cluster import peer as peers
from cloche.cluster.errors import ClusterError, TransferError
from cloche.cluster.giving import giving
from cloche.cluster.peer import Handler, Peer
from cloche.cluster.security import Tls
from cloche.cluster.taking import Source
from cloche.plan.depgraph import Distfile
from cloche.records.logs import new_log, open_log, put_away
from cloche.store import Store, StoreError
from cloche.tasks.distfiles import BadDistfileError, keep, path_of

SCHEDULER = "tcp://127.0.0.1:8786"


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[tuple[Store, Store]]:
    with Store.open(tmp_path / "giver") as giver, Store.open(tmp_path / "taker") as taker:
        yield giver, taker


@pytest.fixture
def peer() -> Iterator[Callable[..., Peer]]:
    """Make hosts, which end with the test."""
    made: list[Peer] = []

    def make(handlers: dict[str, Handler] | None = None) -> Peer:
        made.append(Peer(SCHEDULER, Tls(), handlers or {}))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def source(stores: tuple[Store, Store], peer: Callable[..., Peer]) -> Source:
    return Source(peer(), peer(giving(stores[0])).address)


def test_trees_blobs_sources_and_logs_are_taken_once(
    stores: tuple[Store, Store], source: Source
) -> None:
    giver, taker = stores
    layer, other = rich(giver), values.stored(giver, "c/b-1", b="b")
    assert set(source.trees([layer.id, other.id, layer.id], taker)) == {layer.id, other.id}
    assert source.trees([layer.id, other.id], taker) == ()
    assert taker.tree(layer.id).exact == giver.tree(layer.id).exact

    blob = values.blob(giver, "content", "its label")
    source.blobs([blob], taker)
    assert taker.blob(blob).path.read_text() == "content"
    assert taker.blob(blob).label == "its label"

    log = new_log(giver, "c/a-1", "build")
    log.write_text("lines\n")
    (log.parent / "failed").write_text("plain\n")
    taken = source.log(put_away(giver, "c/a-1", log), taker)
    with open_log(taken) as file:
        assert file.read() == b"lines\n"


def distfile(store: Store, room: Path, content: bytes, digest: str | None = None) -> Distfile:
    digest = digest or hashlib.blake2b(content).hexdigest()
    file = Distfile("a.tar", len(content), {"BLAKE2B": digest})
    (room / "a.tar").write_bytes(content)
    keep(store, room / "a.tar", file)
    return file


def test_a_source_is_checked_against_its_manifest(
    stores: tuple[Store, Store], source: Source, tmp_path: Path
) -> None:
    giver, taker = stores
    file = distfile(giver, tmp_path, b"the source")
    source.distfiles([file], taker)
    assert path_of(taker, file).read_bytes() == b"the source"
    bad = distfile(giver, tmp_path, b"another one")
    path_of(giver, bad).chmod(0o644)
    path_of(giver, bad).write_bytes(b"anotHer one")
    with pytest.raises(BadDistfileError):
        source.distfiles([bad], taker)


@pytest.mark.parametrize(
    "name", ["../identity", "/etc/passwd", "c/../../identity", "", ".", "c//a", "none"]
)
def test_only_logs_and_sources_are_given_away_by_name(
    name: str, stores: tuple[Store, Store], source: Source, tmp_path: Path
) -> None:
    for kind in ("log", "distfile"):
        with pytest.raises(ClusterError, match=f"no such {kind}"):
            source._file(kind, name, tmp_path / "taken")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "name",
    ["", "a", "/etc/passwd", "../../x/20260101-000000-000-build.log", "c/a-1/other",
     "c/../../20260101-000000-000-build.log", "c/a-1/20260101-000000-000-build.log/x",
     "c/a-1/20260101-000000-000-../build.log", "c/a-1/1-2-3-build.log\n"],
)  # fmt: skip
def test_a_worker_cannot_choose_where_its_log_goes(
    name: str, stores: tuple[Store, Store], source: Source
) -> None:
    before = sorted(stores[1].path.rglob("*"))
    with pytest.raises(ClusterError, match="not the name of a log"):
        source.log(name, stores[1])
    assert sorted(stores[1].path.rglob("*")) == before


def test_what_the_other_host_lacks_is_its_own_error(
    stores: tuple[Store, Store], source: Source
) -> None:
    with pytest.raises(StoreError, match="0000"):
        source.trees(["0" * 64], stores[1])
    with pytest.raises(StoreError, match="0000"):
        source.blobs(["0" * 64], stores[1])
    assert stores[1].trees() == []


def breaking(handlers: dict[str, Handler], after: int) -> tuple[dict[str, Handler], list[int]]:
    """Handlers that break each connection after some messages; and where streams began."""
    take, begun = handlers["cloche_take"], list[int]()

    async def broken(comm: Any, **asked: Any) -> Any:
        begun.append(asked["start"])

        class Breaking:
            count = 0
            closed = staticmethod(comm.closed)

            async def write(self, message: Any) -> None:
                self.count += 1
                if self.count > after:
                    comm.abort()
                    raise ConnectionError("cut")
                await comm.write(message)

        return await take(Breaking(), **asked)

    return {"cloche_take": broken}, begun


def test_a_stream_goes_on_where_it_was_cut(
    stores: tuple[Store, Store], peer: Callable[..., Peer]
) -> None:
    giver, taker = stores
    with giver.workspace("large") as room:
        (room / "tree").mkdir()
        for number in range(5):
            text = b"".join(hashlib.sha256(b"%d %d" % (number, n)).digest() for n in range(40_000))
            (room / "tree" / str(number)).write_bytes(text)
        layer = values.commit(giver, room / "tree", kind="package", label="c/large-1")
    handlers, begun = breaking(giving(giver), after=2)
    source = Source(peer(), peer(handlers).address)
    source.trees([layer.id], taker)
    assert taker.tree(layer.id).exact == giver.tree(layer.id).exact
    assert begun == sorted(set(begun))  # each part was sent once
    assert begun[0] == 0
    assert len(begun) > 2
    assert begun[1] >= 2 * frames.PIECE


def test_a_host_that_is_gone_is_given_up(
    stores: tuple[Store, Store], peer: Callable[..., Peer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers, "CONNECT", 0.5)
    gone = peer(giving(stores[0]))
    address = gone.address
    gone.close()
    with pytest.raises(TransferError, match="not reached") as caught:
        Source(peer(), address, patience=1.0).trees([rich(stores[0]).id], stores[1])
    assert caught.value.where == address


def test_a_silent_host_is_given_up(
    stores: tuple[Store, Store], peer: Callable[..., Peer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taking, "SILENCE", 0.6)

    async def silent(comm: Any, **_: Any) -> None:
        import asyncio

        await asyncio.sleep(30)

    source = Source(peer(), peer({"cloche_take": silent}).address, patience=1.0)
    with pytest.raises(TransferError, match="no answer"):
        source.blobs(["0" * 64], stores[1])


def test_a_transfer_can_be_stopped(stores: tuple[Store, Store], peer: Callable[..., Peer]) -> None:
    begun = threading.Event()

    async def silent(comm: Any, **_: Any) -> None:
        import asyncio

        begun.set()
        await asyncio.sleep(30)

    source = Source(peer(), peer({"cloche_take": silent}).address, begun.is_set)
    with pytest.raises(TransferError, match="stopped"):
        source.blobs(["0" * 64], stores[1])


def test_a_stranger_is_no_host_of_ours(
    stores: tuple[Store, Store], peer: Callable[..., Peer]
) -> None:
    with pytest.raises(ClusterError, match="not a host of cloche's"):
        Source(peer(), peer().address).trees(["0" * 64], stores[1])
