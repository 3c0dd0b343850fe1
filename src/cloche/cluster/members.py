"""The workers of a cluster, as the plan's host knows them."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Literal

import msgspec

from cloche.cluster.facts import Facts, differing, unfit
from cloche.cluster.peer import Peer

if TYPE_CHECKING:
    from distributed import Client

_FRESH = 2.0  # seconds for which what was seen counts
_ANSWER = 5.0  # seconds for a worker to say what it is
Say = Callable[[str, Literal["info", "warning"]], None]
_NOT_OURS = "it is not a worker of cloche's; start it by `cloche worker`"


class Members:
    """Those that fit, by their addresses in Dask, and why others do not. For several threads.

    ``say`` hears once of each that does not, and of other kernels and CPUs.
    """

    def __init__(self, peer: Peer, own: Facts, engine: str | None, say: Say):
        self._peer, self._own, self._engine, self._say = peer, own, engine, say
        self._lock = threading.Lock()
        self._looked = -math.inf
        self._known: dict[str, Facts | None] = {}
        self._told: set[str] = set()
        self.fit: dict[str, Facts] = {}
        self.refused: dict[str, str] = {}

    def look(self, client: Client, since: float = -math.inf) -> None:
        """See who is there, unless that was just done, and since then (of time.monotonic).

        Raises OSError and TimeoutError.
        """
        with self._lock:
            began = time.monotonic()
            if self._looked >= max(began - _FRESH, since):
                return
            present = list(client.scheduler_info(n_workers=-1)["workers"])
            new = [address for address in present if self._known.get(address) is None]
            facts = self._peer.run(self._asked(new))
            known = {**self._known, **facts}
            self._known = {each: known[each] for each in present if each in known}
            self._judge()
            self._looked = began

    def _judge(self) -> None:
        fit, refused = dict[str, Facts](), dict[str, str]()
        for address, facts in self._known.items():
            why = unfit(facts, self._own, self._engine) if facts else _NOT_OURS
            name = facts.name if facts else address
            if facts is not None and why is None:
                fit[address] = facts
                if (other := differing(facts, self._own)) and name not in self._told:
                    self._told.add(name)
                    self._say(f"the worker {name} has {other}", "info")
            else:
                refused[name] = why or ""
                if name not in self._told:
                    self._told.add(name)
                    self._say(f"the worker {name} is refused: {why}", "warning")
        self.fit, self.refused = fit, refused

    async def _asked(self, addresses: Iterable[str]) -> dict[str, Facts | None]:
        """What workers say of themselves, None of strangers; not those that say nothing."""
        found = await asyncio.gather(*map(self._ask, addresses))
        return {address: facts for each in found for address, facts in each.items()}

    async def _ask(self, address: str) -> dict[str, Facts | None]:
        try:
            said = await self._peer.calling(address, "cloche_facts", _ANSWER)
            return {address: msgspec.convert(said, type=Facts)}
        except (OSError, TimeoutError):  # it is asked again
            return {}
        except Exception:  # whatever a stranger answers
            return {address: None}

    def others(self, excluded: Iterable[str], memory: int = 0) -> list[str]:
        """The addresses of those that fit, have so many MiB, and have none of these names."""
        names = set(excluded)
        return [
            address
            for address, facts in self.fit.items()
            if facts.name not in names and facts.memory >= memory
        ]

    @property
    def cores(self) -> int:
        """The cores of all that fit."""
        return sum(facts.cores for facts in self.fit.values())
