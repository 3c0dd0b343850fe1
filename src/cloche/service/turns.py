"""Turns: work that is large or slow is done for one client of an account after the other."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from weakref import WeakValueDictionary

from cloche.service.problems import too_many
from cloche.service.values import Token

_OF_TARGET = 2  # requests of a target that wait or are answered
_OF_OTHERS = 32  # of a token, or an address, that enrols many
_SOON = 10.0


@dataclass(frozen=True, slots=True)
class Client:
    """Who asks: an account has one turn at a time, ``name`` at most ``most`` that wait for one."""

    account: str
    name: str
    most: int


def client_of(token: Token | None, account: str = "") -> Client:
    """Who asks with a token, or without one in the name of an account."""
    if token is None:
        return Client(account, account, _OF_OTHERS)
    most = _OF_OTHERS if token.target is None else _OF_TARGET
    return Client(token.payer.account, token.target or token.id, most)


class Turns:
    """Lets ``places`` accounts at once have one turn each; the others wait, the first one first."""

    def __init__(self, places: int) -> None:
        self._places = asyncio.Semaphore(places)
        self._accounts = WeakValueDictionary[str, asyncio.Lock]()  # as long as somebody waits
        self._waiting = Counter[str]()

    @asynccontextmanager
    async def of(self, client: Client) -> AsyncIterator[None]:
        """Hold a turn for the block. Raises ProblemError."""
        if self._waiting[client.name] >= client.most:
            what = f"{client.most} such requests are being answered already"
            raise too_many(what, _SOON)
        self._waiting[client.name] += 1
        try:
            account = self._accounts.setdefault(client.account, asyncio.Lock())
            async with account, self._places:
                yield
        finally:
            self._waiting[client.name] -= 1
            if not self._waiting[client.name]:
                del self._waiting[client.name]
