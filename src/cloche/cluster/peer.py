"""A host as others of its cluster see it: a server of Dask's, and calls to those of others."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from concurrent.futures import Future
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TypeVar

from cloche.cluster.errors import TransferError, missing_extra
from cloche.cluster.security import Tls, host_of, security_of

if TYPE_CHECKING:
    from distributed.comm import Comm

CONNECT = 10.0  # seconds to reach another host

T = TypeVar("T")
Handler = Callable[..., Awaitable[Any]]


class Peer:
    """Has a thread with an event loop of its own. Safe to use from several threads.

    ``handlers`` answer the calls of others, ``address`` is where.
    """

    def __init__(
        self,
        scheduler: str,
        tls: Tls,
        handlers: Mapping[str, Handler],
        room: Path | None = None,
    ) -> None:
        """Listen where the scheduler, a full address, can be reached from. Raises ClusterError.

        ``room`` is a directory for Dask's files, which it also puts into `sys.path`: others must
        not be able to write there. By default it is a new one.
        """
        security = security_of(tls)
        try:
            from distributed.core import ConnectionPool, Server
            from distributed.utils import LoopRunner, get_ip
        except ImportError as error:
            raise missing_extra(error) from error
        own = get_ip(host_of(scheduler))
        scheme = scheduler.partition(":")[0]
        listening = f"{scheme}://{f'[{own}]' if ':' in own else own}:0"
        self._connecting = security.get_connection_args("worker")
        self.security = security
        self._closed = False
        self._files = TemporaryDirectory(prefix="cloche-peer-", dir=room)
        self._runner = LoopRunner()
        self._runner.start()
        self.loop = self._runner.loop

        async def start() -> Server:
            server = Server(
                dict(handlers),
                connection_args=self._connecting,
                local_directory=self._files.name,
                needs_workdir=False,
            )
            await server.listen(listening, **security.get_listen_args("worker"))
            self._pool = await ConnectionPool(**self._pool_arguments())
            return server

        try:
            self._server = self.run(start())
        except BaseException:
            self._runner.stop()
            self._files.cleanup()
            raise
        self.address: str = self._server.address

    def _pool_arguments(self) -> dict[str, Any]:
        return {"connection_args": self._connecting, "timeout": CONNECT}

    def run(self, coroutine: Coroutine[Any, Any, T], timeout: float | None = None) -> T:
        """Run a coroutine in the loop's thread, to its end. Raises TimeoutError."""
        return self.start(coroutine).result(timeout)

    def start(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        """Run a coroutine in the loop's thread. Raises ConnectionError after `close`."""
        try:
            return asyncio.run_coroutine_threadsafe(coroutine, self.loop.asyncio_loop)
        except RuntimeError as error:  # the loop is closed
            coroutine.close()
            raise ConnectionError("this host has left the cluster") from error

    def call(self, address: str, name: str, timeout: float, **arguments: Any) -> Any:
        """Call a handler of another host. Raises TransferError."""
        with reached(address):
            return self.run(self.calling(address, name, timeout, **arguments), timeout + 5)

    async def calling(self, address: str, name: str, timeout: float, **arguments: Any) -> Any:
        """The same in the loop's thread. Raises OSError, TimeoutError and what the handler does."""
        asked = getattr(self._pool(address), name)(**arguments)
        return await asyncio.wait_for(asked, timeout)

    async def connect(self, address: str) -> Comm:
        """A connection of its own to another host. Raises OSError."""
        from distributed.comm import connect

        return await connect(address, timeout=CONNECT, **self._connecting)

    def close(self) -> None:
        """Stop listening, and end the thread. May be called twice."""
        if self._closed:
            return
        self._closed = True

        async def stop() -> None:
            await self._pool.close()
            await self._server.close()

        with contextlib.suppress(Exception):
            self.run(stop(), 5)
        self._runner.stop()
        self._files.cleanup()


@contextlib.contextmanager
def reached(address: str) -> Iterator[None]:
    """Raise TransferError for what a connection to a host raises in a block."""
    try:
        yield
    except (OSError, TimeoutError, asyncio.CancelledError) as error:
        raise TransferError(
            f"not reached: {error or type(error).__name__}", where=address
        ) from error


def in_thread(function: Callable[..., T], *arguments: Any) -> Awaitable[T]:
    """Call a function in another thread than the loop's."""
    return asyncio.get_running_loop().run_in_executor(None, function, *arguments)
