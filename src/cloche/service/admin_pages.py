"""Pages that change targets.

The application refuses forms that another site sends (`cloche.service.app`), and the cookie is not
sent with them.
"""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from cloche.errors import ClocheError
from cloche.service import auth
from cloche.service.actions import change_target
from cloche.service.auth import Authenticated
from cloche.service.core import service_of
from cloche.service.pages import target_page
from cloche.service.problems import problem_of
from cloche.service.rendering import PageRoute, form_of, go_to, page
from cloche.service.values import Role
from cloche.service.views import ChangedTarget
from cloche.targets.levels import Level

routes = APIRouter(route_class=PageRoute, include_in_schema=False)


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
