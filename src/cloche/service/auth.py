"""Who may what: tokens, stored as digests only, and what each may see."""

from __future__ import annotations

import base64
import binascii
import contextlib
import sqlite3
import time
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Request

from cloche.service.problems import ProblemError, forbidden, not_found, too_many
from cloche.service.tokens import digest_of
from cloche.service.values import Build, Role, Target, Token

if TYPE_CHECKING:
    from cloche.service.core import Service

COOKIE = "cloche_token"
_NOTED = 60.0  # seconds between two notes that a token is used
_LONGEST = 200  # characters of a token


def secret_of(request: Request) -> str | None:
    """The token of a request: a Bearer, the password of HTTP Basic (RFC 7617), or the cookie."""
    kind, _, value = request.headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return value.strip()
    if kind.lower() == "basic":
        try:
            text = base64.b64decode(value.strip(), validate=True).decode()
        except (binascii.Error, ValueError):
            return ""
        return text.partition(":")[2]
    return request.cookies.get(COOKIE)


def unauthorized(what: str) -> ProblemError:
    """A token is missing or not valid."""
    headers = {"WWW-Authenticate": 'Basic realm="cloche", charset="UTF-8"'}
    return ProblemError(401, what, todo="send a valid token", headers=headers)


def token_of(request: Request) -> Token:
    """The valid token of a request. Raises ProblemError."""
    return token_with(request, secret_of(request))


def token_with(request: Request, secret: str | None) -> Token:
    """The valid token with a secret that came in a request. Raises ProblemError."""
    service, now = request.app.state.service, time.monotonic()
    client = request.client.host if request.client else ""
    if not secret:
        raise unauthorized("a token is needed")
    token: Token | None = None
    if len(secret) <= _LONGEST:
        token = service.database.token(digest_of(secret))
    if token is None:
        if seconds := service.guesses.wait(client, now):
            raise too_many("too many wrong tokens", seconds)
        raise unauthorized("the token is not valid")
    request.state.token = token
    if seconds := service.limiter.wait(token.id, now):
        raise too_many("too many requests", seconds)
    if time.time() - (token.used or 0) > _NOTED:
        with contextlib.suppress(sqlite3.OperationalError):  # it is noted the next time
            service.database.use_token(token.id, time.time())
    return token


def known_token(request: Request) -> Token | None:
    """The valid token of a request, if there is one: for pages that anybody may see."""
    found: Token | None = getattr(request.state, "token", None)
    if found is None:
        try:
            found = token_of(request)
        except (ProblemError, sqlite3.Error):
            return None
    return found


async def authenticated(request: Request) -> Token:
    """The same, as a dependency: FastAPI runs plain functions in other threads."""
    return token_of(request)


Authenticated = Annotated[Token, Depends(authenticated)]


def demand(token: Token, role: Role) -> None:
    """See that a token has a role. Raises ProblemError."""
    if token.role.rank < role.rank:
        raise forbidden(f"the token has the role {token.role}", f"use one with the role {role}")


def demand_valid(service: Service, token: Token) -> None:
    """See that a token was not revoked since the request began. Raises ProblemError."""
    if not service.database.is_valid(token.id):
        raise unauthorized("the token is not valid")


def sees(token: Token, target: str) -> bool:
    """Whether a token may see a target: its own; an administrator sees all.

    One that enrols sees none: the machines that it is given to do not see each other.
    """
    return token.everywhere or token.target == target


def visible_target(request: Request, token: Token, id: str) -> Target:
    """A target that the token may see. Raises ProblemError."""
    return _seen(request.app.state.service, token, id)


def current_target(service: Service, token: Token, id: str) -> Target:
    """The same after waiting, when both may have changed. Raises ProblemError."""
    demand_valid(service, token)
    return _seen(service, token, id)


def _seen(service: Service, token: Token, id: str) -> Target:
    target = service.database.target(id)
    if target is None or id in service.leaving or not sees(token, target.id):
        raise not_found("no such target")
    return target


def visible_build(request: Request, token: Token, id: str) -> Build:
    """A build for a target that the token may see. Raises ProblemError."""
    database = request.app.state.service.database
    try:
        build: Build = database.build(id)
    except KeyError:
        raise not_found("no such build") from None
    if token.everywhere or any(sees(token, target) for target in build.targets):
        return build
    raise not_found("no such build")
