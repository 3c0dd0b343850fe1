"""`cloche worker`: a Dask worker that carries out the tasks of plans with a store of its own.

The process opens its store and its engine before it has threads, so an ordinary user's is inside of
the user namespace, and the sandboxes end with the process. It outlives the scheduler: when that is
gone, running tasks go on, and it waits for the next one.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from cloche.cluster import carrying
from cloche.cluster.errors import missing_extra
from cloche.cluster.facts import Facts, facts_of_host, resources_of
from cloche.cluster.giving import giving
from cloche.cluster.peer import Peer
from cloche.cluster.registry import Registry
from cloche.cluster.security import Tls
from cloche.cluster.sharing import Sharing
from cloche.sandbox.base import Engine
from cloche.store import Store
from cloche.tasks.jobserver import Jobserver
from cloche.tasks.worker import Worker

if TYPE_CHECKING:
    import distributed

_PAUSE = 1.0  # seconds between two tries to reach the scheduler
_LOOK = 0.2  # seconds between two looks at the connection to it
_END = 5.0  # seconds for what runs to end, and for saying goodbye


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the scheduler is (a full address), and what this worker is called and offers.

    ``registry`` is a common place for layers.
    """

    scheduler: str
    tls: Tls
    name: str
    cores: int
    registry: Registry | None = None


def serve(store: Store, engine: Engine, settings: Settings, say: Callable[[str], None]) -> None:
    """Work until SIGTERM or SIGINT; ``say`` hears what happens. Raises ClusterError."""
    with store.workspace("worker") as room, contextlib.ExitStack() as stack:
        jobserver = Jobserver(room / "fifo", settings.cores)
        stack.callback(jobserver.close)
        worker = Worker(store, engine, jobserver=jobserver)
        facts = facts_of_host(settings.name, engine.name, settings.cores, store.path)
        peer = Peer(
            settings.scheduler, settings.tls, {**giving(store), **carrying.stopping()}, room
        )
        stack.callback(peer.close)
        stack.callback(engine.close)  # first: what runs ends
        facts = msgspec.structs.replace(facts, peer=peer.address)
        sharing = Sharing(settings.registry, store, say) if settings.registry else None
        if sharing is not None:
            stack.callback(sharing.close)
        carrying.become(carrying.Host(worker, peer, facts, sharing))
        asyncio.run(_Serving(settings, facts, peer, room, say).run())


@dataclass(slots=True)
class _Serving:
    settings: Settings
    facts: Facts
    peer: Peer
    room: Path
    say: Callable[[str], None]
    waiting: bool = False

    async def run(self) -> None:
        """Be a worker of each scheduler that comes to the address, until a signal."""
        ending = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, ending.set)
        while not ending.is_set():
            await self._connected(ending)

    async def _connected(self, ending: asyncio.Event) -> None:
        """Be a worker of one scheduler until it is gone, or a signal comes."""
        from distributed import Status

        try:
            worker = self._dask_worker()
        except ImportError as error:
            raise missing_extra(error) from error
        starting = asyncio.ensure_future(worker.start())
        stopping = asyncio.ensure_future(ending.wait())
        try:
            await asyncio.wait([starting, stopping], return_when=asyncio.FIRST_COMPLETED)
            if not starting.done() or starting.exception() is not None:
                await self._not_reached(starting, stopping)
                return
            self.waiting = False
            self.say(
                f"{self.settings.name}: working for {self.settings.scheduler}, "
                f"{self.settings.cores} cores, store {self.facts.store}"
            )
            while worker.status in (Status.running, Status.paused) and not ending.is_set():
                await asyncio.wait([stopping], timeout=_LOOK)
            if not ending.is_set():
                self.say(f"{self.settings.name}: the scheduler is gone; waiting for it")
                self.waiting = True
            if ending.is_set():
                await asyncio.to_thread(carrying.end_all, _END)
        finally:
            stopping.cancel()
            # What runs goes on: its result does not need the scheduler.
            closing = asyncio.ensure_future(worker.close(executor_wait=False, timeout=_END))
            await asyncio.wait([closing], timeout=_END)

    async def _not_reached(self, starting: asyncio.Future[Any], stopping: Any) -> None:
        error = starting.exception() if starting.done() else None
        starting.cancel()
        if not self.waiting and not stopping.done():
            why = f"no scheduler at {self.settings.scheduler} yet"
            if error is not None and "name taken" in str(error.__cause__ or error):
                why = "the scheduler has another worker of this name; waiting"
            self.say(f"{self.settings.name}: {why}")
            self.waiting = True
        await asyncio.wait([stopping], timeout=_PAUSE)

    def _dask_worker(self) -> distributed.Worker:
        import dask
        import distributed

        dask.config.set({"distributed.worker.profile.enabled": False})
        logging.getLogger("distributed").setLevel(logging.ERROR)
        worker = distributed.Worker(
            self.settings.scheduler,
            name=self.settings.name,
            nthreads=2 * self.settings.cores,
            resources=resources_of(self.facts),
            security=self.peer.security,
            local_directory=str(self.room),
            memory_limit=0,
            dashboard=False,
            death_timeout=10,
        )
        worker.handlers["cloche_facts"] = self._tell
        return worker

    async def _tell(self) -> dict[str, Any]:
        return msgspec.structs.asdict(self.facts)
