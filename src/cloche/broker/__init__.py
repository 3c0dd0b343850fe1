"""Engines, and whole calls, for programs that have threads or that are not in the user namespace in
which an ordinary user's store is used.

`open_engine` gives an engine to any process. `executor.Workers` is a `concurrent.futures.Executor`
whose calls run in processes inside of that namespace. Both start a broker, a process of its own
without threads, and start it anew when it has died.
"""

from __future__ import annotations

import os

from cloche.engines import choice
from cloche.linux import processes
from cloche.sandbox.base import Engine


def open_engine(name: str = choice.DEFAULT) -> Engine:
    """Open an engine, by a broker where this process cannot have a launcher of its own.

    It can as uid 0 (also of the user namespace, see `userns.enter`) and without threads, and that
    is quicker. Raises ClocheError, a SandboxError where its tool is missing, and BrokerError.
    """
    if os.geteuid() == 0 and not processes.has_threads():
        return choice.make_engine(name)
    from cloche.broker.engine import BrokeredEngine  # the command line need not load it

    return BrokeredEngine(name)
