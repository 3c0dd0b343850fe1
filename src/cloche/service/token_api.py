"""The route of tokens: what the one is that a request has."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from cloche.service.auth import Authenticated
from cloche.service.openapi import TOKEN, answers
from cloche.service.views import TokenView, answer

routes = APIRouter(prefix="/api/v1/token", tags=["token"])


@routes.get("", **answers(TokenView, *TOKEN))
async def own(token: Authenticated) -> Response:
    """What the token of this request is for."""
    return answer(
        TokenView(token.id, token.name, token.role, token.target, token.inject, token.quota)
    )
