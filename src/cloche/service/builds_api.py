"""Routes of builds: state, events, logs, stop, repeat; packages of the pool."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from cloche.records.logs import open_log
from cloche.service.actions import repeat_build, stop_build
from cloche.service.auth import (
    Authenticated,
    visible_build,
    visible_target,
)
from cloche.service.core import Service, service_of
from cloche.service.events import log_of, stream
from cloche.service.listing import builds_for, packages_for, view_of
from cloche.service.openapi import TOKEN, answers
from cloche.service.problems import ProblemError, not_found, too_many
from cloche.service.values import BuildState
from cloche.service.views import Builds, BuildView, Packages, answer

routes = APIRouter(prefix="/api/v1", tags=["builds"])
_CHUNK = 1 << 16
_EVENTS = "text/event-stream"
_EVENT = {
    "type": "object",
    "properties": {"id": {"type": "string"}, "data": {"type": "string"}},
    "description": "A server-sent event; `data` is JSON, see docs/events.md.",
}


@routes.get("/builds", **answers(Builds, *TOKEN))
async def builds(
    request: Request,
    token: Authenticated,
    target: str | None = None,
    state: Annotated[list[BuildState] | None, Query()] = None,
    before: Annotated[int | None, Query(ge=1, le=2**62)] = None,
    most: Annotated[int, Query(ge=1, le=500)] = 100,
) -> Response:
    """Builds, the newest first; `before` continues a list."""
    service = service_of(request)
    if target is not None:
        visible_target(request, token, target)
    found = builds_for(service, token, target, state or [], most, before)
    following = found[-1].number if len(found) == most else None
    return answer(Builds(tuple(view_of(service, token, each) for each in found), following))


@routes.get("/builds/{build_id}", **answers(BuildView, *TOKEN))
async def build(request: Request, build_id: str, token: Authenticated) -> Response:
    """A build: its state, and what became of its packages."""
    found = visible_build(request, token, build_id)
    return answer(view_of(service_of(request), token, found))


@routes.post("/builds/{build_id}/stop", **answers(BuildView, *TOKEN, 409))
async def stop(request: Request, build_id: str, token: Authenticated) -> Response:
    """Stop a build that is in the queue or runs."""
    found = visible_build(request, token, build_id)
    return answer(await stop_build(service_of(request), token, found))


@routes.post("/builds/{build_id}/repeat", **answers(BuildView, *TOKEN, 409, status=202))
async def repeat(request: Request, build_id: str, token: Authenticated) -> Response:
    """Try again a build that has ended, as one that failed."""
    found = visible_build(request, token, build_id)
    return answer(repeat_build(service_of(request), token, found), 202)


@routes.get("/builds/{build_id}/events", **answers(_EVENT, *TOKEN, media=_EVENTS))
async def events(
    request: Request,
    build_id: str,
    token: Authenticated,
    last_event_id: Annotated[str | None, Header(max_length=40)] = None,
) -> Response:
    """The events of a build (docs/events.md) as server-sent events, and `end` as the last one."""
    service, found = service_of(request), visible_build(request, token, build_id)
    last = last_event_id or ""
    start = int(last) if last.isascii() and last.isdecimal() and len(last) < 19 else 0

    def goes_on() -> bool:
        valid = service.database.is_valid(token.id)
        return valid and not service.closing and service.database.has_build(found.id)

    room = service.settings.state.build(found.id)
    ending = partial(service.dispatcher.ending, found.id)
    sent = stream(service.hub, found.id, room, start, goes_on, ending)
    return _Stream(service, token.payer.account, sent)


class _Stream(StreamingResponse):
    """Events of a build, counted for an account from before it begins. Raises ProblemError."""

    def __init__(self, service: Service, account: str, sent: AsyncIterator[bytes]) -> None:
        self._streams, self._account = service.streams, account
        if self._streams[account] >= service.settings.limits.streams:
            raise too_many("too many streams of events", 10.0)
        self._streams[account] += 1
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(sent, 200, headers, media_type=_EVENTS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._streams[self._account] -= 1
            if not self._streams[self._account]:
                del self._streams[self._account]


@routes.get("/builds/{build_id}/log/{package:path}", **answers(str, *TOKEN, media="text/plain"))
async def log(request: Request, build_id: str, package: str, token: Authenticated) -> Response:
    """The log of a package in a build, as far as it is written."""
    service, found = service_of(request), visible_build(request, token, build_id)
    place = log_of(service.settings.state.build(found.id), package)
    if place is None:
        raise not_found("no such log")
    return StreamingResponse(await _chunks(place), 200, media_type="text/plain; charset=utf-8")


async def _chunks(place: Path) -> AsyncIterator[bytes]:
    """The text of a log, which may be compressed by now. Raises ProblemError."""
    try:
        file = await asyncio.to_thread(open_log, place)
    except FileNotFoundError:
        raise ProblemError(404, "the log was removed", todo="repeat the build") from None

    async def chunks() -> AsyncIterator[bytes]:
        with file:
            while chunk := await asyncio.to_thread(file.read, _CHUNK):
                yield chunk

    return chunks()


@routes.get("/packages", tags=["packages"], **answers(Packages, *TOKEN))
async def packages(request: Request, token: Authenticated, target: str | None = None) -> Response:
    """The packages that are offered to targets that the token may see; all with the role admin."""
    if target is not None:
        visible_target(request, token, target)
    return answer(Packages(tuple(packages_for(service_of(request), token, target))))
