"""Routes with which targets ask for packages."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from cloche.service.actions import want_packages
from cloche.service.auth import Authenticated, demand, visible_target
from cloche.service.bodies import body_of, decoded
from cloche.service.core import service_of
from cloche.service.openapi import BODY, TOKEN, also, answers, body
from cloche.service.problems import ProblemError
from cloche.service.values import ENDED, Role, Token
from cloche.service.views import Wanted, answer
from cloche.service.wants import Asked, atoms_in
from cloche.targets.levels import Level

routes = APIRouter(prefix="/api/v1/targets", tags=["wants"])
Wants = Annotated[list[str] | None, Query(alias="want", description="Atoms or @sets.")]
AtLevel = Annotated[Level | None, Query(description="Not the target's.")]
_JSON = ("application/json", "text/json")
_TEXT = ("", "text/plain", "application/x-www-form-urlencoded")  # the last is curl's for --data
_ANSWERS = also(
    answers(Wanted, *TOKEN, *BODY, status=202, text="It is being built, or waits for it."),
    200,
    Wanted,
    "All is ready, or the build has ended, perhaps with failures.",
)


@routes.post("/{target_id}/wants", **_ANSWERS, openapi_extra=body(json=Asked, text=str))
async def want(
    request: Request,
    target_id: str,
    token: Authenticated,
    wants: Wants = None,
    level: AtLevel = None,
) -> Response:
    """Ask for packages: as JSON, as text with an atom or a line of `emerge -pq` each, as ?want=."""
    demand(token, Role.REQUEST)
    visible_target(request, token, target_id)
    asked = await _asked(request, wants or [], level)
    return await _answered(request, target_id, token, asked)


_ONLY_TOKEN = also(answers(Wanted, *TOKEN, status=202), 200, Wanted, "All is ready, or ended.")


@routes.get("/{target_id}/wants", **_ONLY_TOKEN)
async def want_by_get(
    request: Request, target_id: str, token: Authenticated, wants: Wants, level: AtLevel = None
) -> Response:
    """Ask for packages with an address alone."""
    demand(token, Role.REQUEST)
    visible_target(request, token, target_id)
    return await _answered(request, target_id, token, Asked(tuple(wants or ()), (), level))


async def _asked(request: Request, wants: list[str], level: Level | None) -> Asked:
    """What a request asks for. Raises ProblemError."""
    limits = service_of(request).settings.limits
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in (*_JSON, *_TEXT):
        raise ProblemError(415, "the body is neither JSON nor text", todo="send application/json")
    text = await body_of(request, limits.body, limits.upload)
    if kind in _JSON and text:
        asked = decoded(text, Asked)
        return Asked((*wants, *asked.atoms), asked.options, asked.level or level, asked.packages)
    try:
        lines = text.decode()
    except UnicodeDecodeError as error:
        raise ProblemError(400, "the body is not UTF-8") from error
    return Asked((*wants, *atoms_in(lines)), (), level)


async def _answered(request: Request, target_id: str, token: Token, asked: Asked) -> Response:
    """The answer to a request. Raises ProblemError."""
    service = service_of(request)
    build = await want_packages(service, target_id, token, asked)
    if build is None:
        return answer(Wanted(ready=True))
    over = build.state in ENDED
    found = Wanted(
        ready=build.state == "done",
        build=build.id,
        state=build.state,
        events=f"/api/v1/builds/{build.id}/events",
        position=service.database.position(build),
        notes=visible_target(request, token, target_id).notes,
    )
    return answer(found, 200 if over else 202)
