"""The application: all routes, with the same headers, measurements and log for each answer."""

from __future__ import annotations

import logging
import time
from typing import Any
from urllib.parse import urlsplit

from fastapi import FastAPI, Request
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cloche.service import (
    admin_pages,
    binhost_api,
    builds_api,
    openapi,
    pages,
    problems,
    targets_api,
    token_api,
    token_pages,
    wants_api,
)
from cloche.service.core import Service
from cloche.service.metrics import CONTENT_TYPE
from cloche.service.openapi import OPEN, answers
from cloche.service.problems import ProblemError
from cloche.service.rendering import nothing_there
from cloche.service.views import Health, answer
from cloche.targets.client_program import client_program
from cloche.version import version

ABOUT = "Binary packages on demand for Gentoo machines. Errors are problem documents (RFC 9457)."
_SAFE = ("GET", "HEAD", "OPTIONS")
_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
)
_log = logging.getLogger("cloche.service.requests")


def make_app(service: Service) -> FastAPI:
    """The application for a service that is running."""
    app = FastAPI(
        title="cloche",
        version=version(),
        description=ABOUT,
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/v1/openapi.json",
        redirect_slashes=False,
    )
    app.state.service = service
    apis = (targets_api, wants_api, builds_api, binhost_api, token_api)
    for each in (*apis, pages, admin_pages, token_pages):
        app.include_router(each.routes)
    _add_rest(app)
    problems.install(app, nothing_there)
    app.openapi = lambda: openapi.describe(app)  # type: ignore[method-assign]
    app.add_middleware(Around, service=service)
    return app


def _add_rest(app: FastAPI) -> None:
    """Routes that are about no target."""

    @app.get("/health", tags=["service"], **answers(Health, 503), openapi_extra=OPEN)
    async def health(request: Request) -> Response:
        """Whether the service works. Needs no token."""
        service: Service = request.app.state.service
        if failing := [each.name for each in service.loops if each.failing]:
            what = f"these failed, and are tried again: {', '.join(failing)}"
            raise ProblemError(503, what, todo="see the service's log")
        queued = service.database.count("builds", "state").get("queued", 0)
        running, faults = len(service.dispatcher.running), len(service.database.faults())
        return answer(Health("ok", version(), queued, running, faults))

    @app.get(
        "/metrics", tags=["service"], **answers(str, 503, media="text/plain"), openapi_extra=OPEN
    )
    async def metrics(request: Request) -> Response:
        """Measurements for Prometheus: numbers alone. Needs no token."""
        service: Service = request.app.state.service
        return Response(service.metrics.text(service), media_type=CONTENT_TYPE)

    @app.get("/client", tags=["service"], **answers(str, media="text/x-python"), openapi_extra=OPEN)
    async def client() -> Response:
        """cloche-client: one file of Python. Needs no token."""
        headers = {"Content-Disposition": 'attachment; filename="cloche-client"'}
        media = "text/x-python; charset=utf-8"
        return Response(client_program(), headers=headers, media_type=media)


class Around:
    """What is done around every request."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app, self._service = app, service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.monotonic(), 0

        async def sent(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message.get("headers", ()), *_HEADERS]}
                self._service.metrics.answered(route_of(scope), status, time.monotonic() - began)
            await send(message)

        try:
            if is_forged(scope):
                problem = ProblemError(403, "the request comes from another site")
                await problem.response()(scope, receive, sent)
            else:
                await self._app(scope, receive, sent)
        except ClientDisconnect:
            pass  # nobody is there to answer
        except Exception as error:
            if status:
                raise
            _log.exception("a bug in cloche")
            what = f"a bug in cloche: {type(error).__name__}"
            await ProblemError(500, what, todo="see the service's log").response()(
                scope, receive, sent
            )
        finally:
            _log.info(
                "request",
                extra={
                    "method": scope["method"],
                    "path": scope["path"],
                    "status": status,
                    "ms": round((time.monotonic() - began) * 1000, 1),
                    "client": (scope.get("client") or ("",))[0],
                },
            )


def route_of(scope: Scope) -> str:
    """The route of a request, for measurements: not what a client wrote."""
    return str(getattr(scope.get("route"), "path", "")) or "none"


def is_forged(scope: Scope) -> bool:
    """Whether a browser sends a request that another site made it send.

    Its cookie or password would go along (Fetch Metadata, and Origin in RFC 6454).
    """
    headers: Any = Headers(scope=scope)
    site = headers.get("sec-fetch-site")
    asks = scope["method"] not in _SAFE or scope["path"].endswith("/wants")
    if not asks:
        return False
    if site is not None:
        return site not in ("same-origin", "none")
    origin = headers.get("origin")
    return origin is not None and urlsplit(origin).netloc != headers.get("host")
