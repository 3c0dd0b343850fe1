"""Engines and function calls for programs that have threads or run outside of the user namespace.

`open_engine` opens an engine in any process. `executor.Workers` is a `concurrent.futures.Executor`
whose calls run in processes inside of the namespace. Both start a broker, a separate process
without threads, where this process cannot fork, and restart what dies.
"""

from __future__ import annotations

from cloche.broker.engine import RestartingEngine
from cloche.engines import choice
from cloche.sandbox.base import Engine


def open_engine(name: str = choice.DEFAULT) -> Engine:
    """Open an engine, through a broker where this process cannot fork a launcher itself.

    Raises ClocheError, SandboxError when a tool is missing, and BrokerError.
    """
    return RestartingEngine(name)
