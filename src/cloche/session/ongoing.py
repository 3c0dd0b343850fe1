"""The calls of a session that run now: stopping them, and waiting for their end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from weakref import WeakSet

from cloche.errors import ClocheError, Exit
from cloche.tasks.guestcall import Running


class CallStoppedError(ClocheError):
    """A call was ended by `Session.stop`, or because its session was left.

    ``__cause__`` is the error that it would have ended with: a `BuildError`, for example.
    """

    status = Exit.INTERRUPTED

    def __init__(self) -> None:
        super().__init__("interrupted", todo="finished work is kept, the next run continues")


def _itself(name: str) -> str:
    return name


class Ongoing:
    """What runs for one session. Safe to use from several threads."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._calls = 0
        self._runs: WeakSet[Running] = WeakSet()  # also of calls that have returned a root
        self._stopped: WeakSet[Running] = WeakSet()
        self._closed = False
        self._id_of: Callable[[str], str] = _itself

    @contextmanager
    def named(self, id_of: Callable[[str], str]) -> Iterator[None]:
        """For a block, translate the names that displays use for packages into their ids."""
        self._id_of = id_of
        try:
            yield
        finally:
            self._id_of = _itself

    @contextmanager
    def call(self) -> Iterator[Running]:
        """Count a call for a block, and give what ends its sandboxes.

        Raises ClocheError when the session is closed, CallStoppedError for the ClocheError of a
        call that was stopped.
        """
        running = Running()
        with self._changed:
            if self._closed:
                raise ClocheError("the session is closed", todo="open another one")
            self._runs.add(running)
            self._calls += 1
        try:
            yield running
        except ClocheError as error:
            if running in self._stopped:
                raise CallStoppedError from error
            raise
        finally:
            with self._changed:
                self._calls -= 1
                self._changed.notify_all()

    def stop(self) -> None:
        """End what runs now."""
        with self._changed:
            runs = list(self._runs)
            self._stopped.update(runs)
        for running in runs:
            running.stop()

    def stop_package(self, package: str) -> None:
        """End what runs for one package."""
        with self._changed:
            runs = list(self._runs)
        for running in runs:
            running.stop_package(self._id_of(package))

    def close(self) -> None:
        """Begin no more calls, end what runs, and wait until all calls have ended."""
        with self._changed:
            self._closed = True
        self.stop()
        with self._changed:
            self._changed.wait_for(lambda: self._calls == 0)
