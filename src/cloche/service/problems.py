"""Errors as problem documents (RFC 9457)."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from http import HTTPStatus

import msgspec
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from cloche.errors import ClocheError, Exit, is_full
from cloche.targets.description import BadDescriptionError, StaleChangeError

JSON = "application/problem+json"
_STATUSES = {Exit.BAD_INPUT: 422, Exit.FAILED: 500, Exit.HOST: 503}


class Document(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A problem. ``what`` is wrong, ``where``, ``todo`` says what helps; ``detail`` are lines."""

    title: str
    status: int
    what: str
    where: str | None = None
    todo: str | None = None
    detail: str | None = None


class ProblemError(Exception):
    """The answer to a request is a problem."""

    def __init__(
        self,
        status: int,
        what: str,
        *,
        where: str | None = None,
        todo: str | None = None,
        detail: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(what)
        self.headers = headers or {}
        self.document = Document(
            title=HTTPStatus(status).phrase,
            status=status,
            what=what,
            where=where,
            todo=todo,
            detail=detail,
        )

    def response(self) -> Response:
        """The answer."""
        body = msgspec.json.encode(self.document)
        return Response(body, self.document.status, self.headers, JSON)


def not_found(what: str) -> ProblemError:
    """Nothing is there, or nothing that this token may see: both look the same."""
    return ProblemError(404, what)


def forbidden(what: str, todo: str) -> ProblemError:
    """The token does not allow it."""
    return ProblemError(403, what, todo=todo)


def too_many(what: str, seconds: float) -> ProblemError:
    """Not now."""
    wait = max(1, round(seconds + 0.5))
    todo = f"try again in {wait} s"
    return ProblemError(429, what, todo=todo, headers={"Retry-After": str(wait)})


def problem_of(error: ClocheError) -> ProblemError:
    """The problem for an error of cloche."""
    status = _STATUSES.get(Exit(error.status), 500)
    if isinstance(error, StaleChangeError):
        status = 409
    if isinstance(error, BadDescriptionError):
        status = 422
    return ProblemError(status, error.what, where=error.where, todo=error.todo, detail=error.detail)


def of_host(error: sqlite3.OperationalError | OSError) -> ProblemError:
    """The database, or the host, cannot do it now."""
    if isinstance(error, OSError):
        what = error.strerror or type(error).__name__
        return ProblemError(503, f"the host: {what}", todo="try again")
    todo = "free some space there" if is_full(error) else "try again"
    return ProblemError(503, f"the database: {error}", todo=todo)


def install(app: FastAPI, shown: Callable[[Request, ProblemError], Response]) -> None:
    """Let every error of an app become a problem document.

    ``shown`` answers where nothing is at the address: it may do so with a page.
    """

    @app.exception_handler(ProblemError)
    async def problem(_: Request, error: ProblemError) -> Response:
        return error.response()

    @app.exception_handler(ClocheError)
    async def known(_: Request, error: ClocheError) -> Response:
        return problem_of(error).response()

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:
        headers = dict(error.headers or {})
        found = ProblemError(error.status_code, str(error.detail), headers=headers)
        return shown(request, found)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        found = ["{}: {}".format(".".join(map(str, e["loc"])), e["msg"]) for e in error.errors()]
        return ProblemError(422, "the request is malformed", detail="\n".join(found)).response()

    @app.exception_handler(sqlite3.OperationalError)
    async def database(_: Request, error: sqlite3.OperationalError) -> Response:
        return of_host(error).response()

    @app.exception_handler(OSError)
    async def host(_: Request, error: OSError) -> Response:
        return of_host(error).response()
