"""Routes of targets: enrolment, descriptions, what levels cost."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import Response

from cloche.errors import ClocheError
from cloche.service.actions import change_target
from cloche.service.auth import (
    Authenticated,
    current_target,
    demand,
    demand_valid,
    token_of,
    visible_target,
)
from cloche.service.bodies import Packed, body_of, decoded, received
from cloche.service.core import Service, service_of
from cloche.service.listing import targets_for, view_of_target
from cloche.service.openapi import BODY, TOKEN, answers, body
from cloche.service.plan import asked_atoms, known
from cloche.service.problems import ProblemError, forbidden
from cloche.service.tokens import digest_of, new_token
from cloche.service.turns import Client, client_of
from cloche.service.values import Role, Target, Token, checked_name
from cloche.service.views import (
    ChangedTarget,
    Costs,
    DescriptionTaken,
    Enrolled,
    NewTarget,
    Targets,
    TargetView,
    answer,
    cost_view,
)
from cloche.targets import calls
from cloche.targets.description import (
    Change,
    Description,
    changed,
    decode_change,
    decode_description,
    digest,
)
from cloche.targets.levels import DEFAULT, WHY_DEFAULT
from cloche.targets.results import Asker, Want

routes = APIRouter(prefix="/api/v1/targets", tags=["targets"])


@routes.post(
    "",
    **answers(Enrolled, *TOKEN, *BODY, status=201),
    openapi_extra=body(json=NewTarget),
)
async def enrol(request: Request) -> Response:
    """Enrol a target: a machine that packages are built for. It gets a token of its own."""
    service = service_of(request)
    token = None
    if not service.settings.open_enrolment or "authorization" in request.headers:
        token = token_of(request)
        demand(token, Role.REQUEST)
        if token.target is not None:
            raise forbidden("the token is another target's", "use one for enrolment")
    account = token.id if token else f"open {request.client.host if request.client else ''}"
    service.quotas.demand_target(account)
    async with _described(request, client_of(token, account)) as packed:
        return await _enrolled(service, token, account, packed)


async def _enrolled(
    service: Service, token: Token | None, account: str, packed: Packed
) -> Response:
    """A new target, and a token for it."""
    given, description, named = await asyncio.to_thread(_new_target, packed)
    name, inject = checked_name(given.name), token is not None and token.inject
    notes = await service.examined(description, inject=inject)
    now = time.time()
    target = Target(
        id=secrets.token_hex(6),
        name=name,
        digest=named,
        level=given.level or DEFAULT,
        owner=token.id if token else None,
        arch=description.arch,
        chost=description.chost,
        profile=description.profile,
        notes=notes,
        made=now,
        changed=now,
    )
    quota = token.quota if token else service.settings.open_quota
    own, secret = new_token(
        name, Role.REQUEST, target=target.id, inject=inject, quota=quota, account=account
    )
    with service.descriptions.held(named):
        await service.descriptions.write(description, named)
        with service.database.transaction():
            if token is not None:
                demand_valid(service, token)
            service.quotas.demand_target(account)  # others may have enrolled since
            service.database.add_target(target)
            service.database.add_token(own, digest_of(secret))
        service.database.keep()  # the token is shown this once
    service.prover.later_of(target)
    enrolled = Enrolled(
        id=target.id,
        token=secret,
        digest=named,
        binhost=f"/t/{target.id}",
        level=target.level,
        notes=notes,
        public_key=service.public_key,
    )
    return answer(enrolled, 201)


def _new_target(packed: Packed) -> tuple[NewTarget, Description, str]:
    given = decoded(packed.unpacked(), NewTarget)
    description = decode_description(bytes(given.description))
    return given, description, digest(description)


@asynccontextmanager
async def _described(request: Request, client: Client) -> AsyncIterator[Packed]:
    """A body with a description, in the client's turn: few are in memory at once."""
    service, limits = service_of(request), service_of(request).settings.limits
    async with AsyncExitStack() as stack:

        async def turn() -> None:
            await stack.enter_async_context(service.arrivals.of(client))

        packed = await received(request, limits.description, limits.upload, turn)
        await stack.enter_async_context(service.turns.of(client))
        yield packed


@routes.get("", **answers(Targets, *TOKEN))
async def targets(request: Request, token: Authenticated) -> Response:
    """The targets that the token may see: its own, or all with the role admin."""
    service = service_of(request)
    seen = targets_for(service, token)
    return answer(Targets(tuple(view_of_target(service, token, each) for each in seen)))


@routes.get("/{target_id}", **answers(TargetView, *TOKEN))
async def target(request: Request, target_id: str, token: Authenticated) -> Response:
    """A target, without its description."""
    found = visible_target(request, token, target_id)
    return answer(view_of_target(service_of(request), token, found))


@routes.patch(
    "/{target_id}", **answers(TargetView, *TOKEN, *BODY), openapi_extra=body(json=ChangedTarget)
)
async def change(request: Request, target_id: str, token: Authenticated) -> Response:
    """Give a target another name or level."""
    demand(token, Role.REQUEST)
    service, limits = service_of(request), service_of(request).settings.limits
    visible_target(request, token, target_id)
    wish = decoded(await body_of(request, limits.body, limits.upload), ChangedTarget)
    found = current_target(service, token, target_id)
    return answer(view_of_target(service, token, change_target(service, found, wish)))


@routes.delete("/{target_id}", **answers(None, *TOKEN, status=204))
async def remove(request: Request, target_id: str, token: Authenticated) -> Response:
    """Remove a target and its tokens. Its packages are kept as long as others use them."""
    demand(token, Role.REQUEST)
    service, found = service_of(request), visible_target(request, token, target_id)
    await service.remove_target(found)
    return Response(status_code=204)


@routes.put(
    "/{target_id}/description",
    **answers(DescriptionTaken, *TOKEN, *BODY, 409),
    openapi_extra=body(json=Description),
)
async def replace_description(request: Request, target_id: str, token: Authenticated) -> Response:
    """Replace a target's whole description. 409 if it changed while this one was looked at."""
    demand(token, Role.REQUEST)
    visible_target(request, token, target_id)
    service = service_of(request)
    async with _described(request, client_of(token)) as packed:
        found = current_target(service, token, target_id)
        description = await asyncio.to_thread(lambda: decode_description(packed.unpacked()))
        notes = await service.examined(description, inject=token.inject)
        return await _taken(service, token, found, description, notes)


@routes.patch(
    "/{target_id}/description",
    **answers(DescriptionTaken, *TOKEN, *BODY, 409),
    openapi_extra=body(json=Change),
)
async def change_description(request: Request, target_id: str, token: Authenticated) -> Response:
    """Change a target's description. 409 if the change is of another state, or that is damaged."""
    demand(token, Role.REQUEST)
    service = service_of(request)
    visible_target(request, token, target_id)
    async with _described(request, client_of(token)) as packed:
        found = current_target(service, token, target_id)
        change = await asyncio.to_thread(lambda: decode_change(packed.unpacked()))
        try:
            before = await service.descriptions.read(found.digest)
        except ClocheError as error:
            raise ProblemError(409, error.what, todo="send the whole description") from error
        after = await asyncio.to_thread(changed, before, change)
        notes = found.notes
        if _without_packages(before) != _without_packages(after):
            notes = await service.examined(after, inject=token.inject)
        return await _taken(service, token, found, after, notes)


def _without_packages(description: Description) -> Description:
    """All of a description that notes are about."""
    return msgspec.structs.replace(description, packages={}, world=(), world_sets=())


async def _taken(
    service: Service,
    token: Token,
    target: Target,
    description: Description,
    notes: tuple[str, ...],
) -> Response:
    """Note the new description of a target, unless another one came in between."""
    named = await asyncio.to_thread(digest, description)
    with service.descriptions.held(named):
        await service.descriptions.write(description, named)
        current_target(service, token, target.id)
        described = replace(
            target,
            digest=named,
            arch=description.arch,
            chost=description.chost,
            profile=description.profile,
            notes=notes,
            changed=time.time(),
        )
        new = service.database.describe_target(described, target.digest)
        if new is None:
            todo = "send the whole description again"
            raise ProblemError(409, "the description changed since it was read", todo=todo)
    service.prover.later_of(new)  # also where the same came, as it was damaged
    if named != target.digest:
        service.descriptions.forget()
    return answer(DescriptionTaken(named, notes))


@routes.get("/{target_id}/environments", **answers(Costs, *TOKEN))
async def environments(request: Request, target_id: str, token: Authenticated) -> Response:
    """What each level costs for what the target asked for lately, or for @world."""
    service, found = service_of(request), visible_target(request, token, target_id)
    async with service.turns.of(client_of(token)):
        atoms = asked_atoms(service.database, found)
        description = await service.descriptions.read(found.digest)
        asker = Asker(found.id, description, Want(atoms, found.level, inject=token.inject))
        packages = known(service.database, service.database.known_candidates(found.digest))
        costs = await service.answer(calls.costs, service.place, (asker,), packages)
    levels = tuple(cost_view(each) for each in costs)
    return answer(Costs(atoms, levels, DEFAULT, WHY_DEFAULT))
