"""How pages are made: templates, forms, problems as pages."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import parse_qs, quote

import jinja2
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.responses import RedirectResponse, Response

from cloche.display.text import size
from cloche.errors import ClocheError
from cloche.service import auth
from cloche.service.bodies import body_of
from cloche.service.core import service_of
from cloche.service.problems import ProblemError, of_host, problem_of
from cloche.version import version

_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HTML = "text/html; charset=utf-8"
_MONTH = 30 * 86400
_FORM = 1 << 16  # bytes
_TYPED = 5.0  # seconds that a form may take: that of the login needs no token


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


def no_page() -> ProblemError:
    """There is nothing at the address."""
    return ProblemError(404, "there is no such page")


def wants_page(request: Request) -> bool:
    """Whether a browser asks for a page, and not a program for an answer of the API."""
    of_programs = request.url.path.startswith(("/api/", "/t/"))
    return not of_programs and "text/html" in request.headers.get("accept", "")


def nothing_there(request: Request, error: ProblemError) -> Response:
    """The answer where there is no route: a page for a browser, a document for a program."""
    if not wants_page(request):
        return error.response()
    return problem_page(request, no_page() if error.document.status == 404 else error)


class PageRoute(APIRoute):
    """A route of a page: its problems are pages, too; without a token it leads to the login."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """What answers."""
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                return await handle(request)
            except RequestValidationError:
                return problem_page(request, no_page())
            except ClocheError as error:
                return problem_page(request, problem_of(error))
            except (sqlite3.OperationalError, OSError) as error:
                return problem_page(request, of_host(error))
            except ProblemError as error:
                if error.document.status == 401:
                    way = request.url.path if request.method == "GET" else "/"
                    return go_to(f"/login?next={quote(way)}", token=None)
                return problem_page(request, error)

        return answer


def page(name: str, request: Request, *, status: int = 200, **values: Any) -> Response:
    """A page, from its template."""
    here = request.url.path
    body = _templates.get_template(name).render(here=here, **values)
    headers = {"Content-Security-Policy": _POLICY, "Cache-Control": "no-store"}
    return Response(body, status, headers, HTML)


def problem_page(request: Request, error: ProblemError) -> Response:
    """A problem as a page."""
    token, document = auth.known_token(request), error.document
    answer = page("problem.html", request, status=document.status, problem=document, token=token)
    answer.headers.update(error.headers)
    return answer


def go_to(path: str, token: str | None = "", *, secure: bool = False) -> Response:
    """Go to another page; ``token`` is a new cookie, None removes it."""
    answer = RedirectResponse(path, 303)
    if token is None:
        answer.delete_cookie(auth.COOKIE, path="/")
    elif token:
        answer.set_cookie(
            auth.COOKIE, token, max_age=_MONTH, httponly=True, secure=secure, samesite="strict"
        )
    return answer


async def form_of(request: Request) -> dict[str, str]:
    """The fields of a form. The application refuses those of other sites. Raises ProblemError."""
    seconds = min(_TYPED, service_of(request).settings.limits.upload)
    body = await body_of(request, _FORM, seconds)
    fields = parse_qs(body.decode(errors="replace"), keep_blank_values=True)
    return {name: values[-1] for name, values in fields.items()}
