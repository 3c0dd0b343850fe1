"""What a host gives away of its store: trees, blobs, sources and logs, by their names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from cloche.cluster import frames, stream
from cloche.cluster.errors import ClusterError
from cloche.cluster.peer import Handler, in_thread
from cloche.errors import ClocheError, host_trouble
from cloche.store import Store

if TYPE_CHECKING:
    from distributed.comm import Comm

Kind = Literal["trees", "blob", "distfile", "log"]
COMPRESSED = ("trees",)  # all other kinds have their own compression


def giving(store: Store) -> dict[str, Handler]:
    """The handler `cloche_take`, which sends pieces until the end, or an error as data."""

    async def take(comm: Comm, kind: Kind, names: Sequence[str], start: int) -> Any:
        from distributed.core import Status

        end: dict[str, Any] = {"end": ""}
        try:
            if kind == "blob":
                end = {"end": store.blob(names[0]).label}
            sent = _pieces(store, kind, names, start)
            waiting = in_thread(next, sent, None)
            while (piece := await waiting) is not None:
                waiting = in_thread(next, sent, None)
                await comm.write({"piece": piece})
        except (ClocheError, OSError) as error:
            if comm.closed():
                raise
            known = error if isinstance(error, ClocheError) else host_trouble(error)
            end = {"error": known.as_data()}
        await comm.write(end)
        return Status.dont_reply

    return {"cloche_take": take}


def _pieces(store: Store, kind: Kind, names: Sequence[str], start: int) -> Iterator[bytes]:
    if kind in COMPRESSED:
        packed = stream.pack([store.tree(name) for name in names])
        yield from frames.compressed(frames.pieces(packed, start))
        return
    with path_of(store, kind, names[0]).open("rb", buffering=0) as file:
        file.seek(start)
        while piece := file.read(frames.PIECE):
            yield piece


def path_of(store: Store, kind: Kind, name: str) -> Path:
    """The file of a name that another host sent. Raises ClusterError, StoreError."""
    if kind == "blob":
        return store.blob(name).path
    top = store.distfiles if kind == "distfile" else store.logs
    parts = name.split("/")
    path = top.joinpath(*parts)
    unsafe = "" in parts or "." in parts or ".." in parts or path.is_symlink()
    if unsafe or not path.is_file():
        raise ClusterError(f"no such {kind}: {name[:200]!r}", where=store.path)
    return path
