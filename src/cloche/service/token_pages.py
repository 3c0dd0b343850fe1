"""Pages of tokens, which are the administrator's."""

from __future__ import annotations

import re
import time

from fastapi import APIRouter, Request
from starlette.responses import Response

from cloche.errors import ClocheError
from cloche.service import auth
from cloche.service.accounts import Account, account_of, add_token, revoke
from cloche.service.auth import Authenticated
from cloche.service.core import service_of
from cloche.service.errors import ServiceError
from cloche.service.problems import Document, ProblemError, forbidden, not_found, problem_of
from cloche.service.rendering import PageRoute, form_of, go_to, page
from cloche.service.tokens import LARGEST_QUOTA, new_id
from cloche.service.values import Role, Token, checked_name

routes = APIRouter(route_class=PageRoute, include_in_schema=False)
_QUOTA = re.compile(r"[0-9]{1,9}")
_ID = re.compile(r"[0-9a-f]{8}")


def _demand_administrator(request: Request, token: Token) -> None:
    auth.demand_valid(service_of(request), token)  # a form may have taken its time
    if not token.everywhere:
        raise forbidden("tokens are the administrator's", "use a token with the role admin")


def _account(request: Request, id: str) -> Account:
    """A token with what it enrolled. Raises ProblemError."""
    try:
        return account_of(service_of(request).database, id)
    except ServiceError:
        raise not_found("no such token") from None


def _quota_in(form: dict[str, str]) -> int | None:
    """The quota that was typed into a form. Raises ServiceError."""
    text = form.get("quota", "").strip()
    if not text:
        return None
    if not _QUOTA.fullmatch(text) or int(text) == 0:
        what = f"a quota is a number of seconds from 1 to {LARGEST_QUOTA}"
        raise ServiceError(what, todo="leave it empty for none")
    return int(text)


# All tokens


@routes.get("/tokens")
async def tokens(request: Request, token: Authenticated) -> Response:
    """All tokens, without their secrets."""
    _demand_administrator(request, token)
    return _tokens_page(request, token)


def _tokens_page(
    request: Request,
    token: Token,
    *,
    secret: str = "",
    wrong: ProblemError | None = None,
    typed: dict[str, str] | None = None,
) -> Response:
    """The tokens; the ``secret`` of a new one, or what is ``wrong`` with what was ``typed``.

    Its form makes the token with the ``form`` as its ID: sent twice, it makes no second one.
    """
    service, used = service_of(request), service_of(request).quotas.used()
    found = sorted(service.database.tokens(), key=lambda e: (e.revoked is not None, -e.made))
    return page(
        "tokens.html",
        request,
        status=wrong.document.status if wrong else 200,
        token=token,
        tokens=found,
        used={each.id: used.get(each.payer.account, 0.0) for each in found},
        names={each.id: each.name for each in service.database.targets()},
        roles=list(Role),
        secret=secret,
        problem=wrong.document if wrong else None,
        typed=typed or {},
        form=new_id(),
    )


@routes.post("/tokens")
async def add(request: Request, token: Authenticated) -> Response:
    """Make a token; its page shows it, this once."""
    form = await form_of(request)
    _demand_administrator(request, token)
    try:
        secret = _added(request, form)
    except ProblemError as error:
        return _tokens_page(request, token, wrong=error, typed=form)
    except ClocheError as error:
        return _tokens_page(request, token, wrong=problem_of(error), typed=form)
    return _tokens_page(request, token, secret=secret)


def _added(request: Request, form: dict[str, str]) -> str:
    """Make the token of a form; return its secret. Raises ProblemError, ClocheError."""
    database, id = service_of(request).database, form.get("form", "")
    if not _ID.fullmatch(id):
        raise ProblemError(422, "the form is not whole", todo="load the page again")
    if any(each.id == id for each in database.tokens()):
        what = "this form has made its token already, which was shown once"
        raise ProblemError(409, what, todo="send this new form for another one")
    if form.get("role") not in list(Role):
        raise ProblemError(422, "unknown role", todo=f"choose one of {', '.join(Role)}")
    _, secret = add_token(
        database,
        checked_name(form.get("name", "")),
        Role(form["role"]),
        target=form.get("target", "") or None,
        inject="inject" in form,
        quota=_quota_in(form),
        id=id,
    )
    return secret


# One token


@routes.get("/tokens/{id}")
async def one(request: Request, id: str, token: Authenticated) -> Response:
    """A token: what it may, what it enrolled, what was built with it."""
    _demand_administrator(request, token)
    return _token_page(request, token, _account(request, id))


def _token_page(
    request: Request,
    token: Token,
    account: Account,
    problem: Document | None = None,
    typed: dict[str, str] | None = None,
) -> Response:
    service, payer = service_of(request), account.token.payer
    tokens = service.database.tokens()
    names = {each.id: each.name for each in service.database.targets()}
    return page(
        "token.html",
        request,
        status=problem.status if problem else 200,
        token=token,
        shown=account.token,
        targets=account.targets,
        names=names | {each.id: each.name for each in tokens},
        used=service.quotas.used().get(payer.account, 0.0),
        sharing=[each for each in tokens if each.payer.account == payer.account],
        problem=problem,
        typed=typed or {},
    )


@routes.post("/tokens/{id}/change")
async def change(request: Request, id: str, token: Authenticated) -> Response:
    """Give a token, and all that share it, another quota."""
    form = await form_of(request)
    _demand_administrator(request, token)
    account = _account(request, id)
    try:
        quota = _quota_in(form)
    except ServiceError as error:
        return _token_page(request, token, account, problem_of(error).document, form)
    service = service_of(request)
    service.database.set_quota(account.token.payer.account, quota)
    service.dispatcher.wake()
    return go_to(f"/tokens/{id}")


@routes.get("/tokens/{id}/revoke")
async def ask_to_revoke(request: Request, id: str, token: Authenticated) -> Response:
    """Ask whether a token is to be revoked, perhaps with those of its targets."""
    _demand_administrator(request, token)
    account = _account(request, id)
    return page("revoke.html", request, token=token, shown=account.token, theirs=account.tokens)


@routes.post("/tokens/{id}/revoke")
async def revoke_token(request: Request, id: str, token: Authenticated) -> Response:
    """Revoke a token, perhaps with those of its targets."""
    form = await form_of(request)
    _demand_administrator(request, token)
    service, account = service_of(request), _account(request, id)
    try:
        revoke(service.database, account, time.time(), with_targets="with-targets" in form)
    except ServiceError:
        raise not_found("no such valid token") from None
    service.dispatcher.wake()
    return go_to("/tokens")
