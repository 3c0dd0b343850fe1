"""The plan's host and its scheduler: a client of Dask's that is made anew when it is lost."""

from __future__ import annotations

import contextlib
import logging
import math
import threading
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from cloche.cluster.errors import ClusterError, no_scheduler
from cloche.cluster.facts import Facts, facts_of_host
from cloche.cluster.members import Members, Say
from cloche.cluster.peer import Handler, Peer
from cloche.cluster.security import Tls
from cloche.store import Store

if TYPE_CHECKING:
    from distributed import Client

PATIENCE = 120.0  # seconds without a scheduler, or without a worker that fits
_LOOK = 0.5  # seconds between two tries


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the scheduler is (a full address); the engine that workers must have, if any.

    ``patience`` is in seconds: so long a plan waits for a scheduler that is lost, or for a worker.
    """

    scheduler: str
    tls: Tls = field(default_factory=Tls)
    engine: str | None = None
    patience: float = PATIENCE


class Connection:
    """Safe to use from several threads. ``own`` is the plan's host, ``members`` the workers."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        handlers: Mapping[str, Handler],
        say: Say,
    ) -> None:
        """Find the scheduler, and its workers. Raises ClusterError."""
        self._settings = settings
        self._lock = threading.Lock()
        self._client: Client | None = None
        self._held = contextlib.ExitStack()
        room = self._held.enter_context(store.workspace("cluster"))
        try:
            self.peer = Peer(settings.scheduler, settings.tls, handlers, room)
        except BaseException:
            self._held.close()
            raise
        host = facts_of_host("the plan's host", "", 0, store.path)
        self.own: Facts = msgspec.structs.replace(host, peer=self.peer.address)
        self.members = Members(self.peer, self.own, settings.engine, say)
        try:
            self.client(patience=0.0)
        except BaseException:
            self.close()
            raise

    def client(
        self,
        stopped: Callable[[], bool] = lambda: False,
        patience: float | None = None,
        since: float = -math.inf,
    ) -> Client:
        """The client, connected; the members are as they were just now, and ``since`` then.

        Raises ClusterError.
        """
        patience = self._settings.patience if patience is None else patience
        began = time.monotonic()
        while True:
            try:
                client = self._connected()
                self.members.look(client, since)
                return client
            except (OSError, TimeoutError, ValueError, RuntimeError) as error:
                self._drop()
                if time.monotonic() - began >= patience or stopped():
                    raise no_scheduler(self._settings.scheduler) from error
                time.sleep(_LOOK)

    def _connected(self) -> Client:
        with self._lock:
            if self._client is not None and self._client.status == "running":
                return self._client
        self._drop()
        with self._lock:
            self._client = self._client or _client(self._settings.scheduler, self.peer)
            return self._client

    def _drop(self) -> None:
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            with contextlib.suppress(Exception):
                client.close(timeout=1)

    def nobody(self) -> ClusterError:
        """The error for a cluster without a worker that fits."""
        refused = [f"{name}: {why}" for name, why in self.members.refused.items()]
        why = "; ".join(refused) or "none has come"
        scheduler = self._settings.scheduler
        return ClusterError(
            f"the cluster has no worker for this plan ({why})",
            where=scheduler,
            todo=f"start one by `cloche worker --scheduler {scheduler}`",
        )

    def close(self) -> None:
        """Give it up; tasks that still run are stopped."""
        self._drop()
        self.peer.close()
        self._held.close()


def _client(scheduler: str, peer: Peer) -> Client:
    """A client of Dask's. Raises OSError."""
    import dask
    import distributed

    dask.config.set({"distributed.worker.profile.enabled": False})
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    # Of other versions of Dask's and Python's libraries: results do not depend on them.
    warnings.filterwarnings("ignore", module="distributed")
    return distributed.Client(
        scheduler,
        security=peer.security,
        loop=peer.loop,
        timeout=5,
        set_as_default=False,
        name="cloche",
    )
