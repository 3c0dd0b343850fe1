"""What the service repeats in the background, whatever goes wrong in it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

_log = logging.getLogger("cloche.service")
_FIRST, _MOST = 1.0, 60.0  # seconds between two attempts of a step that fails


class Loop:
    """A step that is repeated until the task is cancelled.

    One that fails is logged and tried again after a while, which doubles up to a minute; until it
    succeeds, the loop is ``failing``. A step waits itself where there is nothing to do.
    """

    def __init__(
        self, name: str, step: Callable[[], Awaitable[None]], first: float = _FIRST
    ) -> None:
        self.name = name
        self.failing = False
        self._step, self._first = step, first

    async def run(self) -> None:
        """Repeat it."""
        pause = self._first
        while True:
            try:
                await self._step()
            except Exception:
                self.failing = True
                _log.exception("%s: trying again in %s s", self.name, pause)
                await asyncio.sleep(pause)
                pause = min(2 * pause, _MOST)
            else:
                self.failing, pause = False, self._first
                await asyncio.sleep(0)  # others go on, whatever the step does
