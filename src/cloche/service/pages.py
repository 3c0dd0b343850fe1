"""Web pages: rendered here, small, and whole without JavaScript but for what is live."""

from __future__ import annotations

import asyncio
import time
from importlib.resources import files
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from cloche.display.svg import as_svg
from cloche.service import auth, graph
from cloche.service.accounts import payer_of
from cloche.service.actions import repeat_build, stop_build, want_packages
from cloche.service.auth import Authenticated
from cloche.service.core import service_of
from cloche.service.listing import (
    builds_for,
    packages_for,
    pool_for,
    targets_for,
    view_of,
    view_of_target,
)
from cloche.service.problems import ProblemError
from cloche.service.rendering import PageRoute, form_of, go_to, page, problem_page
from cloche.service.values import ENDED, Build, Role, Target, Token
from cloche.service.wants import Asked, atoms_in
from cloche.targets.levels import MEANINGS, Level

_PICTURE = "default-src 'none'; style-src 'unsafe-inline'"  # its style is its own
_KINDS = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
_RECENT = 20  # builds of a page that shows other things, too
_PAGE = 50


routes = APIRouter(route_class=PageRoute, include_in_schema=False)


# Login


@routes.get("/login")
async def login(request: Request, following: Annotated[str, Query(alias="next")] = "/") -> Response:
    """Where a token is entered."""
    return page("login.html", request, token=None, following=following, wrong="")


@routes.post("/login")
async def enter(request: Request) -> Response:
    """Take a token, and keep it in a cookie that scripts cannot read."""
    form = await form_of(request)
    following = form.get("next", "/")
    if not following.startswith("/") or following.startswith(("//", "/\\")):
        following = "/"
    try:
        secret = form.get("token", "").strip()
        auth.token_with(request, secret)
    except ProblemError as error:
        values = {"following": following, "wrong": error.document.what, "token": None}
        return page("login.html", request, status=error.document.status, **values)
    return go_to(following, secret, secure=request.url.scheme == "https")


@routes.post("/logout")
async def leave(request: Request) -> Response:
    """Forget the token."""
    await form_of(request)
    return go_to("/login", token=None)


# Pages


@routes.get("/")
async def overview(request: Request, token: Authenticated) -> Response:
    """What the service does now."""
    service = service_of(request)
    builds = [view_of(service, token, each) for each in builds_for(service, token, None, [], _PAGE)]
    packages, room = pool_for(service, token)
    return page(
        "overview.html",
        request,
        token=token,
        running=[each for each in builds if each.state == "running"],
        queued=[each for each in reversed(builds) if each.state == "queued"],
        ended=[each for each in builds if each.state in ENDED][:_RECENT],
        targets=len(targets_for(service, token)),
        packages=packages,
        room=room,
    )


@routes.get("/targets")
async def targets(request: Request, token: Authenticated) -> Response:
    """The targets that the token may see."""
    service = service_of(request)
    found = [view_of_target(service, token, each) for each in targets_for(service, token)]
    return page("targets.html", request, token=token, targets=found)


@routes.get("/targets/{id}")
async def target(request: Request, id: str, token: Authenticated) -> Response:
    """A target: what it gets, what is built for it."""
    return target_page(request, auth.visible_target(request, token, id), token)


def target_page(
    request: Request,
    found: Target,
    token: Token,
    wrong: ProblemError | None = None,
    typed: dict[str, str] | None = None,
    form: str = "want",
) -> Response:
    """The page of a target, perhaps with what is wrong with what was typed into one of its forms.

    These are "want" and "change".
    """
    service, id = service_of(request), found.id
    builds = builds_for(service, token, id, [], _RECENT)
    return page(
        "target.html",
        request,
        status=wrong.document.status if wrong else 200,
        problem=wrong.document if wrong else None,
        refused_form=form if wrong else "",
        asked=(typed or {}) if form == "want" else {},
        changed=(typed or {}) if form == "change" else {},
        token=token,
        target=view_of_target(service, token, found),
        builds=[view_of(service, token, each) for each in builds],
        packages=list(packages_for(service, token, id)),
        levels=[(each, MEANINGS[each]) for each in Level],
        may_ask=token.role.rank >= Role.REQUEST.rank,
        enrolled=_enrolled_with(request, found) if token.everywhere else None,
    )


def _enrolled_with(request: Request, target: Target) -> Token | str:
    """The token with which a target enrolled, or how it did so without one."""
    database = service_of(request).database
    owners = (each for each in database.tokens() if each.id == target.owner)
    payer = payer_of(database, target.id)
    address = payer.account.removeprefix("open ") if payer and " " in payer.account else ""
    return next(owners, f"no token, from {address}" if address else "no token")


@routes.post("/targets/{id}/want")
async def want(request: Request, id: str, token: Authenticated) -> Response:
    """Ask for packages by the form of a target's page."""
    form = await form_of(request)
    found = auth.visible_target(request, token, id)
    auth.demand(token, Role.REQUEST)
    level = Level(form["level"]) if form.get("level") in list(Level) else None
    try:
        asked = Asked(tuple(atoms_in(form.get("atoms", "").replace(" ", "\n"))), (), level)
        build = await want_packages(service_of(request), id, token, asked)
    except ProblemError as error:
        if error.document.status in (401, 404):  # there is nothing to show it on
            raise
        return target_page(request, found, token, error, form)
    return go_to(f"/builds/{build.id}" if build else f"/targets/{id}")


@routes.get("/builds")
async def builds(
    request: Request,
    token: Authenticated,
    before: Annotated[int | None, Query(ge=1, lt=2**62)] = None,
) -> Response:
    """All builds, the newest first."""
    service = service_of(request)
    found = builds_for(service, token, None, [], _PAGE, before)
    return page(
        "builds.html",
        request,
        token=token,
        builds=[view_of(service, token, each) for each in found],
        older=found[-1].number if len(found) == _PAGE else None,
    )


@routes.get("/builds/{id}")
async def build(request: Request, id: str, token: Authenticated) -> Response:
    """A build: its graph, its packages, its failures."""
    found = auth.visible_build(request, token, id)
    return page("build.html", request, **await _build_values(request, found, token))


@routes.get("/builds/{id}/live")
async def live(request: Request, id: str, token: Authenticated) -> Response:
    """The part of a build's page that changes."""
    found = auth.visible_build(request, token, id)
    return page("live.html", request, **await _build_values(request, found, token))


async def _build_values(request: Request, build: Build, token: Token) -> dict[str, Any]:
    service = service_of(request)
    told = await asyncio.to_thread(_told, request, build)
    state = told.state
    over = build.state in ENDED
    return {
        "token": token,
        "build": view_of(service, token, build),
        "over": over,
        "rows": graph.rows_of(state, time.time(), over=over),
        "explained": told.explained,
        "summary": graph.summary_of(state),
        "drawn": len(state.nodes) > 1,
        "moment": int(time.time() * 10),
        "may_act": token.role.rank >= Role.REQUEST.rank,
        "names": {each.id: each.name for each in service.database.targets()},
    }


def _told(request: Request, build: Build) -> graph.Told:
    service = service_of(request)
    return service.readings.read(service.settings.state.build(build.id))


@routes.get("/builds/{id}/graph.svg")
async def picture(request: Request, id: str, token: Authenticated) -> Response:
    """The graph of a build as it is now."""
    found = auth.visible_build(request, token, id)

    def drawn() -> str:
        return as_svg(graph.picture_of(_told(request, found).state), " ".join(found.atoms[:5]))

    headers = {"Content-Security-Policy": _PICTURE, "Cache-Control": "no-store"}
    return Response(await asyncio.to_thread(drawn), 200, headers, "image/svg+xml")


@routes.post("/builds/{id}/stop")
async def stop(request: Request, id: str, token: Authenticated) -> Response:
    """Stop a build by its page."""
    await form_of(request)
    await stop_build(service_of(request), token, auth.visible_build(request, token, id))
    return go_to(f"/builds/{id}")


@routes.post("/builds/{id}/repeat")
async def repeat(request: Request, id: str, token: Authenticated) -> Response:
    """Repeat a build by its page."""
    await form_of(request)
    again = repeat_build(service_of(request), token, auth.visible_build(request, token, id))
    return go_to(f"/builds/{again.id}")


@routes.get("/packages")
async def packages(
    request: Request, token: Authenticated, q: Annotated[str, Query(max_length=200)] = ""
) -> Response:
    """The packages that the token may see."""
    found = [each for each in packages_for(service_of(request), token, None) if q in each.cpv]
    names = {each.id: each.name for each in service_of(request).database.targets()}
    return page("packages.html", request, token=token, packages=found, q=q, names=names)


@routes.get("/static/{name}")
async def static(request: Request, name: str) -> Response:
    """A style or a script."""
    file = files("cloche.service").joinpath("static", name)
    kind = _KINDS.get(name.rpartition(".")[2])
    if kind is None or "/" in name or not file.is_file():
        return problem_page(request, ProblemError(404, "there is no such file"))
    return Response(file.read_bytes(), 200, {"Cache-Control": "max-age=3600"}, kind)
