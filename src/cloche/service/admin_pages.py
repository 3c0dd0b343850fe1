"""Pages that change targets and tokens.

The application refuses forms that another site sends (`cloche.service.app`), and the cookie is not
sent with them.
"""

from __future__ import annotations

import time

from fastapi import APIRouter, Request
from starlette.responses import Response

from cloche.errors import ClocheError
from cloche.service import auth
from cloche.service.actions import change_target
from cloche.service.auth import Authenticated
from cloche.service.core import service_of
from cloche.service.pages import target_page
from cloche.service.problems import ProblemError, forbidden, not_found, problem_of
from cloche.service.rendering import PageRoute, form_of, go_to, page
from cloche.service.tokens import digest_of, new_token
from cloche.service.values import Role, Token, checked_name
from cloche.service.views import ChangedTarget
from cloche.targets.levels import Level

routes = APIRouter(route_class=PageRoute, include_in_schema=False)


# Targets


@routes.post("/targets/{id}/change")
async def change(request: Request, id: str, token: Authenticated) -> Response:
    """Give a target another name or level."""
    form = await form_of(request)
    found = auth.visible_target(request, token, id)
    auth.demand(token, Role.REQUEST)
    level = Level(form["level"]) if form.get("level") in list(Level) else None
    try:
        change_target(service_of(request), found, ChangedTarget(form.get("name", ""), level))
    except ClocheError as error:
        return target_page(request, found, token, problem_of(error), form, "change")
    return go_to(f"/targets/{id}")


@routes.get("/targets/{id}/remove")
async def ask_to_remove(request: Request, id: str, token: Authenticated) -> Response:
    """Ask whether a target is to be removed."""
    found = auth.visible_target(request, token, id)
    auth.demand(token, Role.REQUEST)
    return page("remove.html", request, token=token, target=found)


@routes.post("/targets/{id}/remove")
async def remove(request: Request, id: str, token: Authenticated) -> Response:
    """Remove a target and its tokens."""
    await form_of(request)
    found = auth.visible_target(request, token, id)
    auth.demand(token, Role.REQUEST)
    await service_of(request).remove_target(found)
    return go_to("/targets")


# Tokens


def _demand_administrator(token: Token) -> None:
    if not token.everywhere:
        raise forbidden("tokens are the administrator's", "use a token with the role admin")


@routes.get("/tokens")
async def tokens(request: Request, token: Authenticated) -> Response:
    """All tokens, without their secrets."""
    _demand_administrator(token)
    return _tokens_page(request, token)


def _tokens_page(
    request: Request,
    token: Token,
    *,
    secret: str = "",
    wrong: ProblemError | None = None,
    typed: dict[str, str] | None = None,
) -> Response:
    """The tokens; the ``secret`` of a new one, or what is ``wrong`` with what was ``typed``."""
    database = service_of(request).database
    found = sorted(database.tokens(), key=lambda each: (each.revoked is not None, -each.made))
    return page(
        "tokens.html",
        request,
        status=wrong.document.status if wrong else 200,
        token=token,
        tokens=found,
        names={each.id: each.name for each in database.targets()},
        roles=list(Role),
        secret=secret,
        problem=wrong.document if wrong else None,
        typed=typed or {},
    )


@routes.post("/tokens")
async def add(request: Request, token: Authenticated) -> Response:
    """Make a token; its page shows it, this once."""
    form = await form_of(request)
    _demand_administrator(token)
    try:
        secret = _added(request, form)
    except ProblemError as error:
        return _tokens_page(request, token, wrong=error, typed=form)
    return _tokens_page(request, token, secret=secret)


def _added(request: Request, form: dict[str, str]) -> str:
    """Make the token of a form; return its secret. Raises ProblemError."""
    database = service_of(request).database
    target = form.get("target", "") or None
    if form.get("role") not in list(Role):
        raise ProblemError(422, "unknown role", todo=f"choose one of {', '.join(Role)}")
    if target is not None and database.target(target) is None:
        raise ProblemError(422, "no such target")
    quota = form.get("quota", "").strip()
    if quota and not (quota.isascii() and quota.isdecimal() and 0 < int(quota[:9]) == int(quota)):
        raise ProblemError(422, "the quota is a number of seconds", todo="leave it empty for none")
    try:
        made, secret = new_token(
            checked_name(form.get("name", "")),
            Role(form["role"]),
            target=target,
            inject="inject" in form,
            quota=int(quota) if quota else None,
        )
    except ClocheError as error:
        raise problem_of(error) from error
    database.add_token(made, digest_of(secret))
    return secret


@routes.post("/tokens/{id}/revoke")
async def revoke(request: Request, id: str, token: Authenticated) -> Response:
    """Revoke a token."""
    await form_of(request)
    _demand_administrator(token)
    service = service_of(request)
    if not service.database.revoke(id, time.time()):
        raise not_found("no such valid token")
    service.dispatcher.wake()  # what was asked for with it is stopped
    return go_to("/tokens")
