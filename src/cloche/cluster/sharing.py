"""A worker's use of a registry: it asks there first, and puts there what it took or made.

The registry is a help, not a need: where it fails, layers come from hosts.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from cloche.archives.errors import ImportRefusedError
from cloche.cluster.errors import ClusterError
from cloche.cluster.registry import Registry
from cloche.store import Store, StoreError


class Sharing:
    """Safe to use from several threads. ``say`` hears what fails, each reason once."""

    def __init__(self, registry: Registry, store: Store, say: Callable[[str], None]) -> None:
        self._registry, self._store, self._say = registry, store, say
        self._putting = ThreadPoolExecutor(1, thread_name_prefix="registry")
        self._lock = threading.Lock()
        self._said: set[str] = set()

    def take(self, ids: Iterable[str]) -> None:
        """Take those trees that the store lacks and the registry has."""
        try:
            self._registry.take(ids, self._store)
        except (ClusterError, ImportRefusedError) as error:
            self._failed(error)

    def put(self, ids: Iterable[str]) -> None:
        """Put trees there, beside other work."""
        for id in ids:
            self._putting.submit(self._put, id)

    def _put(self, id: str) -> None:
        try:
            self._registry.put(id, self._store)
        except (ClusterError, StoreError) as error:
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        with self._lock:
            new = str(error) not in self._said
            self._said.add(str(error))
        if new:
            self._say(str(error))

    def close(self) -> None:
        """Put what was begun, and no more."""
        self._putting.shutdown(cancel_futures=True)
