"""Taking what another host has: a stream that goes on after a cut, and what is made of it.

Nothing is believed: trees and files are read again, and must be what their names say.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, wait
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloche.cluster import frames, stream
from cloche.cluster.errors import ClusterError, TransferError
from cloche.cluster.giving import COMPRESSED, Kind
from cloche.cluster.peer import Peer, reached
from cloche.errors import ClocheError
from cloche.plan.depgraph import Distfile
from cloche.records.logs import new_log, open_log, step_name
from cloche.store import Store
from cloche.tasks import distfiles

if TYPE_CHECKING:
    from distributed.comm import Comm

SILENCE = 20.0  # seconds without a byte after which a connection is given up
PATIENCE = 30.0
_LOOK = 0.5  # seconds between two looks whether a transfer is stopped
_PAUSE = 0.2  # seconds between two tries, growing
#: A log below ``logs``: the name of a package or of a machine, TIME-COUNT-STEP.
_LOG = re.compile(r"(?:[\w+.@:-]+/)+\d{8}-\d{6}-\d{3}-[\w+.-]{1,60}\.log(?:\.gz)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Source:
    """Another host, as the place where things are. ``stopped`` ends a transfer when true.

    ``patience`` is the time without a byte, in seconds, after which the host is given up.
    """

    peer: Peer
    address: str
    stopped: Callable[[], bool] = lambda: False
    patience: float = PATIENCE

    def trees(self, ids: Iterable[str], store: Store) -> tuple[str, ...]:
        """Take trees that the store lacks, all in one stream; return the ids of those.

        Raises TransferError, and what the other host raises.
        """
        lacking = sorted(id for id in dict.fromkeys(ids) if not store.has_tree(id))
        if not lacking:
            return ()
        with ExitStack() as stack:
            for id in lacking:  # in one order everywhere, so nobody waits in a circle
                stack.enter_context(store.lock(f"tree-{id}"))
            lacking = [id for id in lacking if not store.has_tree(id)]  # by now
            room = stack.enter_context(store.workspace("transfer"))
            if lacking:
                taken = stack.enter_context(Taken(self, "trees", lacking))
                store.add_trees(stream.unpack(taken.exactly, lacking, store, room))
                taken.finish()
        return tuple(lacking)

    def blobs(self, ids: Iterable[str], store: Store) -> None:
        """Take blobs that the store lacks."""
        for id in dict.fromkeys(ids):
            if store.has_blob(id):
                continue
            with store.workspace("transfer") as room:
                label = self._file("blob", id, room / "blob")
                blob = store.add_blob(room / "blob", label)
            if blob.id != id:
                raise TransferError(f"blob {id[:16]} is not what its id says", where=self.address)

    def distfiles(self, files: Iterable[Distfile], store: Store) -> None:
        """Take sources that the store lacks. Raises BadDistfileError for others than wanted."""
        for file in distfiles.missing(store, files):
            with store.workspace("transfer") as room:
                self._file("distfile", distfiles.stored_name(file), room / "file")
                distfiles.keep(store, room / "file", file)

    def log(self, name: str, store: Store, place: Path | None = None) -> Path:
        """Take a log by its path below ``logs``; without ``place`` it gets a name of its own.

        Raises ClusterError for a name that is not one of a log.
        """
        if not _LOG.fullmatch(name) or ".." in name.split("/"):
            raise ClusterError(f"not the name of a log: {name[:200]!r}", where=self.address)
        given = Path(name)
        if place is None:
            place = new_log(store, str(given.parent), step_name(given).split("-", 3)[3])
        with store.workspace("transfer") as room:
            self._file("log", name, room / given.name)
            with open_log(room / given.name) as old, place.open("wb") as new:
                shutil.copyfileobj(old, new)
        return place

    def _file(self, kind: Kind, name: str, place: Path) -> str:
        """Take a file; return its label, if it has one."""
        with Taken(self, kind, [name]) as taken, place.open("wb") as file:
            while data := taken.read(frames.PIECE):
                file.write(data)
        return taken.label


class Taken:
    """A stream of another host. Where a connection breaks, the next one goes on from there."""

    def __init__(self, source: Source, kind: Kind, names: Sequence[str]) -> None:
        self._source, self._kind, self._names = source, kind, list(names)
        self._buffer = memoryview(b"")
        self._got = 0
        self._ended = False
        self._comm: Comm | None = None
        self._next: Future[Any] | None = None
        self.reconnected = 0
        self.label = ""

    def __enter__(self) -> Taken:
        return self

    def __exit__(self, *_: object) -> None:
        self._drop()

    def exactly(self, size: int) -> bytes:
        """That many bytes. Raises TransferError if there are not as many."""
        parts, left = list[bytes](), size
        while left and (data := self.read(left)):
            parts.append(data)
            left -= len(data)
        if left:
            raise TransferError("a stream ended early", where=self._source.address)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def read(self, size: int) -> bytes:
        """At most that many bytes, none at the end. Raises TransferError."""
        if not self._buffer and not self._ended:
            self._buffer = memoryview(self._more())
        data = bytes(self._buffer[:size])
        self._buffer = self._buffer[size:]
        return data

    def finish(self) -> None:
        """Raise TransferError if anything is left."""
        if self.read(1):
            raise TransferError("a stream did not end", where=self._source.address)

    def _more(self) -> bytes:
        """The next bytes, of another connection if this one is broken."""
        since, pause = time.monotonic(), _PAUSE
        while True:
            if self._source.stopped():
                raise TransferError("stopped", where=self._source.address)
            try:
                return self._received()
            except TransferError:
                self._drop()
                if time.monotonic() - since > self._source.patience:
                    raise
                self.reconnected += 1
                time.sleep(pause)
                pause = min(2 * pause, 5.0)

    def _received(self) -> bytes:
        peer, address = self._source.peer, self._source.address
        with reached(address):
            if self._comm is None:
                self._comm = peer.run(peer.connect(address), SILENCE)
                asked = {"op": "cloche_take", "kind": self._kind, "names": self._names}
                peer.run(self._comm.write({**asked, "start": self._got, "reply": True}), SILENCE)
                self._unpack = frames.unpacker(self._kind in COMPRESSED)
                self._next = peer.start(self._comm.read())
            message = self._awaited()
        if not isinstance(message, dict) or not {"piece", "end", "error"} & set(message):
            raise ClusterError("not a host of cloche's", where=address)
        if "error" in message:
            raise ClocheError.from_data(message["error"])
        if "end" in message:
            self._ended, self.label = True, str(message["end"])
            return b""
        self._next = peer.start(self._comm.read())
        try:
            data = self._unpack(message["piece"])
        except ValueError as error:
            raise TransferError(f"damaged on the way: {error}", where=address) from error
        self._got += len(data)
        return data or self._received()

    def _awaited(self) -> Any:
        """The next message, unless it takes too long, or the transfer is stopped."""
        since = time.monotonic()
        while self._next is not None and time.monotonic() - since < SILENCE:
            done, _ = wait([self._next], _LOOK)
            if done:
                return self._next.result()
            if self._source.stopped():
                break
        raise TimeoutError("no answer")

    def _drop(self) -> None:
        """Give the connection up."""
        comm, self._comm, self._next = self._comm, None, None
        if comm is not None:
            self._source.peer.loop.add_callback(comm.abort)
