"""Serves until a signal: the socket, TLS, the server around the application."""

from __future__ import annotations

import asyncio
import signal
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import uvicorn

from cloche.config.project import Project
from cloche.errors import Exit
from cloche.fetching.signing import Signer
from cloche.service.app import make_app
from cloche.service.connections import guarded, quieten
from cloche.service.core import Service
from cloche.service.errors import ServiceError
from cloche.service.settings import Settings

_BACKLOG = 512  # connections that wait
_END = 5  # seconds that answers have to end
_KEEP_ALIVE = 75  # seconds; longer than proxies reuse connections


def serve(
    settings: Settings, project: Project, signer: Signer | None, say: Callable[[str], None]
) -> None:
    """Serve until SIGINT or SIGTERM. ``say`` tells where. Raises ClocheError, OSError."""
    with _listening(settings) as sock:
        asyncio.run(_serve(settings, project, signer, say, sock))


async def _serve(
    settings: Settings,
    project: Project,
    signer: Signer | None,
    say: Callable[[str], None],
    sock: socket.socket,
) -> None:
    service = Service(settings, project, signer)
    quieten(asyncio.get_running_loop())
    config = uvicorn.Config(
        make_app(service),
        http=guarded(settings.limits),
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=True,
        backlog=_BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE,
        timeout_graceful_shutdown=_END,
        ssl_certfile=settings.tls_cert,
        ssl_keyfile=settings.tls_key,
    )
    try:
        config.load()
    except (OSError, ssl.SSLError) as error:
        where = f"{settings.tls_cert}, {settings.tls_key}"
        raise ServiceError(f"TLS: {error}", where=where, todo="check both files") from error
    async with service.running():
        kind = "https" if settings.tls_cert else "http"
        host, port = sock.getsockname()[:2]
        say(f"cloche serves at {kind}://{f'[{host}]' if ':' in host else host}:{port}/")
        await _Server(config, service).serve(sockets=[sock])


class _Server(uvicorn.Server):
    """A server that lets those go who follow events when it ends."""

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service
        self._loop = asyncio.get_running_loop()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen. A TLS handshake, which is no connection yet, has the time of a request."""
        await super().startup(sockets=[])
        config = self.config
        for each in sockets or ():
            server = await self._loop.create_server(
                lambda: config.http_protocol_class(  # type: ignore[call-arg]
                    config=config, server_state=self.server_state, app_state=self.lifespan.state
                ),
                sock=each,
                ssl=config.ssl,
                backlog=config.backlog,
                ssl_handshake_timeout=self._service.settings.limits.headers if config.ssl else None,
            )
            self.servers.append(server)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """End the server by a signal, and not the process: it has to end what it began."""
        for number in (signal.SIGINT, signal.SIGTERM):
            self._loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                self._loop.remove_signal_handler(number)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal came."""
        super().handle_exit(sig, frame)
        self._service.end_streams()


def _listening(settings: Settings) -> socket.socket:
    """The socket of the server. Raises ServiceError."""
    try:
        family, *_, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        sock = socket.create_server(address[:2], family=family, backlog=_BACKLOG)
    except OSError as error:
        raise ServiceError(
            f"cannot listen: {error.strerror or error}",
            where=f"{settings.host}:{settings.port}",
            todo="choose another --host or --port",
            status=Exit.HOST,
        ) from error
    # Connections inherit it. asyncio sets it itself only if the protocol is named, and without it
    # each answer on a kept connection takes 40 ms.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock
