"""Engines and function calls for programs that have threads or run outside of the user namespace.

`open_engine` opens an engine in any process. `executor.Workers` is a `concurrent.futures.Executor`
whose calls run in processes inside of the namespace. Both start a broker, a separate process
without threads, and restart it when it dies.
"""

from __future__ import annotations

import os

from cloche.engines import choice
from cloche.linux import processes
from cloche.sandbox.base import Engine


def open_engine(name: str = choice.DEFAULT) -> Engine:
    """Open an engine, through a broker where this process cannot fork a launcher itself.

    A process of uid 0 (of the user namespace, too, see `userns.enter`) without threads can, which
    is faster. Raises ClocheError, SandboxError when a tool is missing, and BrokerError.
    """
    if os.geteuid() == 0 and not processes.has_threads():
        return choice.make_engine(name)
    from cloche.broker.engine import BrokeredEngine  # the command line need not load it

    return BrokeredEngine(name)
