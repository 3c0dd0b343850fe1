"""Web pages: rendered here, small, and whole without JavaScript but for what is live."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from importlib.resources import files
from typing import Annotated, Any
from urllib.parse import parse_qs, quote

import jinja2
from fastapi import APIRouter, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.responses import RedirectResponse, Response

from cloche.display.svg import as_svg
from cloche.display.text import size
from cloche.service import auth, graph
from cloche.service.auth import Authenticated
from cloche.service.bodies import body_of
from cloche.service.builds_api import builds_for, packages_for, repeated, stopped, view_of
from cloche.service.core import service_of
from cloche.service.problems import ProblemError
from cloche.service.targets_api import view_of_target
from cloche.service.values import ENDED, Build, Role, Token
from cloche.service.wants import Asked, atoms_in, checked
from cloche.service.wants_api import wanted
from cloche.targets.levels import MEANINGS, Level
from cloche.version import version

_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_PICTURE = "default-src 'none'; style-src 'unsafe-inline'"  # its style is its own
_HTML = "text/html; charset=utf-8"
_KINDS = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
_MONTH = 30 * 86400
_RECENT = 20  # builds of a page that shows other things, too
_PAGE = 50
_FORM = 1 << 16  # bytes


def _ago(seconds: float | None) -> str:
    """A time in the past, in words."""
    if seconds is None:
        return "never"
    return f"{_took(max(0.0, time.time() - seconds))} ago"


def _took(seconds: float | None) -> str:
    """A duration, in words."""
    if seconds is None:
        return ""
    for length, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= length * 2:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"


def _stamp(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


_templates = jinja2.Environment(
    loader=jinja2.PackageLoader("cloche.service"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.filters |= {
    "ago": _ago, "took": _took, "stamp": _stamp, "bytes": size, "path": quote,
}  # fmt: skip
_templates.globals["version"] = version()


class PageRoute(APIRoute):
    """A route of a page: its problems are pages, too; without a token it leads to the login."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """What answers."""
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                return await handle(request)
            except RequestValidationError:
                return _problem(request, ProblemError(404, "there is no such page"))
            except ProblemError as error:
                if error.document.status == 401:
                    way = request.url.path if request.method == "GET" else "/"
                    return _to(f"/login?next={quote(way)}", token=None)
                return _problem(request, error)

        return answer


routes = APIRouter(route_class=PageRoute, include_in_schema=False)


def _page(name: str, request: Request, *, status: int = 200, **values: Any) -> Response:
    """A page, from its template."""
    here = request.url.path
    body = _templates.get_template(name).render(here=here, **values)
    headers = {"Content-Security-Policy": _POLICY, "Cache-Control": "no-store"}
    return Response(body, status, headers, _HTML)


def _problem(request: Request, error: ProblemError) -> Response:
    answer = _page(
        "problem.html", request, status=error.document.status, problem=error.document, token=None
    )
    answer.headers.update(error.headers)
    return answer


def _to(path: str, token: str | None = "", *, secure: bool = False) -> Response:
    """Go to another page; ``token`` is a new cookie, None removes it."""
    answer = RedirectResponse(path, 303)
    if token is None:
        answer.delete_cookie(auth.COOKIE, path="/")
    elif token:
        answer.set_cookie(
            auth.COOKIE, token, max_age=_MONTH, httponly=True, secure=secure, samesite="strict"
        )
    return answer


async def _form(request: Request) -> dict[str, str]:
    """The fields of a form. The application refuses those of other sites. Raises ProblemError."""
    body = await body_of(request, _FORM, service_of(request).settings.limits.upload)
    return {name: values[-1] for name, values in parse_qs(body.decode(errors="replace")).items()}


# Login


@routes.get("/login")
async def login(request: Request, following: Annotated[str, Query(alias="next")] = "/") -> Response:
    """Where a token is entered."""
    return _page("login.html", request, token=None, following=following, wrong="")


@routes.post("/login")
async def enter(request: Request) -> Response:
    """Take a token, and keep it in a cookie that scripts cannot read."""
    form = await _form(request)
    following = form.get("next", "/")
    if not following.startswith("/") or following.startswith(("//", "/\\")):
        following = "/"
    try:
        secret = form.get("token", "").strip()
        auth.token_with(request, secret)
    except ProblemError as error:
        values = {"following": following, "wrong": error.document.what, "token": None}
        return _page("login.html", request, status=error.document.status, **values)
    return _to(following, secret, secure=request.url.scheme == "https")


@routes.post("/logout")
async def leave(request: Request) -> Response:
    """Forget the token."""
    await _form(request)
    return _to("/login", token=None)


# Pages


@routes.get("/")
async def overview(request: Request, token: Authenticated) -> Response:
    """What the service does now."""
    service = service_of(request)
    builds = [view_of(service, token, each) for each in builds_for(service, token, None, [], _PAGE)]
    packages = list(packages_for(service, token, None))
    return _page(
        "overview.html",
        request,
        token=token,
        running=[each for each in builds if each.state == "running"],
        queued=[each for each in reversed(builds) if each.state == "queued"],
        ended=[each for each in builds if each.state in ENDED][:_RECENT],
        targets=sum(auth.sees(token, each.id) for each in service.database.targets()),
        packages=len(packages),
        room=sum(each.size for each in packages),
    )


@routes.get("/targets")
async def targets(request: Request, token: Authenticated) -> Response:
    """The targets that the token may see."""
    service = service_of(request)
    found = [
        view_of_target(service, each)
        for each in service.database.targets()
        if auth.sees(token, each.id)
    ]
    return _page("targets.html", request, token=token, targets=found)


@routes.get("/targets/{id}")
async def target(request: Request, id: str, token: Authenticated) -> Response:
    """A target: what it gets, what is built for it."""
    service = service_of(request)
    found = auth.visible_target(request, token, id)
    builds = builds_for(service, token, id, [], _RECENT)
    return _page(
        "target.html",
        request,
        token=token,
        target=view_of_target(service, found),
        builds=[view_of(service, token, each) for each in builds],
        packages=list(packages_for(service, token, id)),
        levels=[(each, MEANINGS[each]) for each in Level],
        may_ask=token.role.rank >= Role.REQUEST.rank,
    )


@routes.post("/targets/{id}/want")
async def want(request: Request, id: str, token: Authenticated) -> Response:
    """Ask for packages by the form of a target's page."""
    form = await _form(request)
    service = service_of(request)
    found = auth.visible_target(request, token, id)
    auth.demand(token, Role.REQUEST)
    level = Level(form["level"]) if form.get("level") in list(Level) else None
    asked = Asked(tuple(atoms_in(form.get("atoms", "").replace(" ", "\n"))), (), level)
    build = wanted(service, found, token, checked(asked, service.settings.limits.atoms))
    return _to(f"/builds/{build.id}")


@routes.get("/builds")
async def builds(
    request: Request,
    token: Authenticated,
    before: Annotated[int | None, Query(ge=1, lt=2**62)] = None,
) -> Response:
    """All builds, the newest first."""
    service = service_of(request)
    found = builds_for(service, token, None, [], _PAGE, before)
    return _page(
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
    return _page("build.html", request, **await _build_values(request, found, token))


@routes.get("/builds/{id}/live")
async def live(request: Request, id: str, token: Authenticated) -> Response:
    """The part of a build's page that changes."""
    found = auth.visible_build(request, token, id)
    return _page("live.html", request, **await _build_values(request, found, token))


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
    await _form(request)
    await stopped(request, token, id)
    return _to(f"/builds/{id}")


@routes.post("/builds/{id}/repeat")
async def repeat(request: Request, id: str, token: Authenticated) -> Response:
    """Repeat a build by its page."""
    await _form(request)
    return _to(f"/builds/{repeated(request, token, id).id}")


@routes.get("/packages")
async def packages(
    request: Request, token: Authenticated, q: Annotated[str, Query(max_length=200)] = ""
) -> Response:
    """The packages that the token may see."""
    found = [each for each in packages_for(service_of(request), token, None) if q in each.cpv]
    names = {each.id: each.name for each in service_of(request).database.targets()}
    return _page("packages.html", request, token=token, packages=found, q=q, names=names)


@routes.get("/static/{name}")
async def static(request: Request, name: str) -> Response:
    """A style or a script."""
    file = files("cloche.service").joinpath("static", name)
    kind = _KINDS.get(name.rpartition(".")[2])
    if kind is None or "/" in name or not file.is_file():
        return _problem(request, ProblemError(404, "there is no such file"))
    return Response(file.read_bytes(), 200, {"Cache-Control": "max-age=3600"}, kind)
