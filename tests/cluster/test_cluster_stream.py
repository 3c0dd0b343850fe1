"""Trees as a stream: what arrives is what was sent, or it is refused."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from tests import values
from tests.tasks.test_tasks_transfer import rich

from cloche.archives.errors import ImportRefusedError
from cloche.cluster import frames, stream
from cloche.cluster.errors import TransferError
from cloche.layers import Layer
from cloche.store import Store, exact_digest, walk


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "source") as store:
        yield store


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "target") as store:
        yield store


def exactly(data: bytes) -> Callable[[int], bytes]:
    """Reads as a connection that ends."""
    file = io.BytesIO(data)

    def read(size: int) -> bytes:
        if len(found := file.read(size)) < size:
            raise TransferError("ended")
        return found

    return read


def packed(store: Store, *layers: Layer) -> bytes:
    return b"".join(stream.pack([store.tree(each.id) for each in layers]))


def arrived(data: bytes, ids: list[str], target: Store) -> None:
    with target.workspace("test") as room:
        target.add_trees(stream.unpack(exactly(data), ids, target, room))


def test_trees_arrive_as_they_were(source: Store, target: Store) -> None:
    layers = [rich(source), values.stored(source, "c/b-1", **{"etc/b": "b"})]
    arrived(packed(source, *layers), [each.id for each in layers], target)
    for layer in layers:
        old, new = source.tree(layer.id), target.tree(layer.id)
        assert exact_digest(walk(new.path)) == old.exact == new.exact
        assert (new.kind, new.label) == (old.kind, old.label)
        assert (new.files, new.size) == (old.files, old.size)


def test_holes_stay_holes(source: Store, target: Store) -> None:
    with source.workspace("holes") as room:
        (room / "tree").mkdir()
        with (room / "tree/sparse").open("wb") as file:
            file.write(b"begin")
            file.seek(64 << 20)
            file.write(b"end")
            file.truncate(80 << 20)
        layer = values.commit(source, room / "tree", kind="package", label="c/holes-1")
    data = packed(source, layer)
    assert len(data) < 1 << 20
    arrived(data, [layer.id], target)
    info = (target.tree(layer.id).path / "sparse").stat()
    assert info.st_size == 80 << 20
    assert info.st_blocks * 512 < 1 << 20


def test_the_stream_of_a_tree_is_always_the_same(source: Store) -> None:
    layer = rich(source)
    assert packed(source, layer) == packed(source, layer)


def test_whatever_byte_was_changed_nothing_but_the_tree_arrives(
    source: Store, target: Store
) -> None:
    layer = values.stored(source, "c/a-1", etc="the text")
    data = bytearray(packed(source, layer))
    refused = 0
    for place in range(len(data)):
        data[place] ^= 1
        with target.workspace("test") as room:
            try:
                ((made, tree),) = stream.unpack(exactly(bytes(data)), [layer.id], target, room)
            except (TransferError, ImportRefusedError, OSError):
                refused += 1
            else:  # a label, a time of a directory
                assert exact_digest(walk(made)) == source.tree(layer.id).exact == tree.exact
        data[place] ^= 1
    assert refused > len(data) / 2


def test_a_stream_that_ends_early_is_refused(source: Store, target: Store) -> None:
    layer = rich(source)
    data = packed(source, layer)
    for length in range(0, len(data), 37):
        with pytest.raises(TransferError):
            arrived(data[:length], [layer.id], target)
    assert target.trees() == []


def test_another_tree_under_a_wanted_id_is_refused(source: Store, target: Store) -> None:
    wanted, other = (values.stored(source, f"c/{name}-1", etc=name) for name in "ab")
    data = packed(source, other)
    with pytest.raises(TransferError, match="another tree"):
        arrived(data, [wanted.id], target)
    lying = data.replace(other.id.encode(), wanted.id.encode())
    with pytest.raises(TransferError, match="not what its id says"):
        arrived(lying, [wanted.id], target)


@pytest.mark.parametrize(
    "name",
    [
        stream.Name(b"../out", "file", 0o644, 0, 0, 0),
        stream.Name(b"/out", "file", 0o644, 0, 0, 0),
        stream.Name(b"link/out", "file", 0o644, 0, 0, 0),
        stream.Name(b"out", "link", 0o644, 0, 0, 0, target=b"../../outside"),
    ],
    ids=lambda name: name.name.decode(),
)
def test_a_name_that_leads_out_of_the_tree_is_refused(
    name: stream.Name, target: Store, tmp_path: Path
) -> None:
    (tmp_path / "outside").write_text("")
    names = [
        stream.Name(b".", "directory", 0o755, 0, 0, 0),
        stream.Name(b"link", "symlink", 0o777, 0, 0, 0, target=str(tmp_path).encode()),
        name,
    ]
    id = "0" * 64
    records = [stream.Head(id, "package", "c/a-1", "0", 3), *names]
    texts = [msgspec.msgpack.encode(each) for each in records]
    data = b"".join(len(text).to_bytes(4, "big") + text for text in texts)
    with pytest.raises((ImportRefusedError, OSError)):
        arrived(data, [id], target)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("start", [0, 1, frames.PIECE - 1, frames.PIECE, 5 * frames.PIECE // 2])
def test_a_stream_goes_on_at_any_byte(start: int) -> None:
    data = bytes(range(251)) * (3 * frames.PIECE // 251)
    chunks = [data[at : at + 700_001] for at in range(0, len(data), 700_001)]
    sent = list(frames.compressed(frames.pieces(iter(chunks), start)))
    unpack = frames.unpacker(True)
    assert b"".join(map(unpack, sent)) == data[start:]


def test_a_damaged_piece_is_refused() -> None:
    (piece,) = frames.compressed(iter([b"text" * 1000]))
    for place in range(len(piece)):
        damaged = bytearray(piece)
        damaged[place] ^= 0xFF
        try:
            found = frames.unpacker(True)(bytes(damaged))
        except ValueError:
            continue
        assert len(found) <= 4 * frames.PIECE


def test_a_small_piece_cannot_fill_the_memory() -> None:
    (piece,) = frames.compressed(iter([bytes(64 << 20)]))
    assert len(piece) < 1 << 16
    with pytest.raises(ValueError, match="too large"):
        frames.unpacker(True)(piece)
