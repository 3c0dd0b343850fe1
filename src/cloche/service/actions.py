"""What clients do: the same for the API and for pages."""

from __future__ import annotations

import sqlite3
import time

from cloche.service.auth import current_target, demand, sees
from cloche.service.core import Service
from cloche.service.listing import view_of
from cloche.service.problems import ProblemError, forbidden, not_found
from cloche.service.values import ENDED, Build, Role, Target, Token
from cloche.service.views import BuildView, ChangedTarget
from cloche.service.wants import Asked, checked, ready

_STOPPABLE = ("queued", "running")


def change_target(service: Service, target: Target, wish: ChangedTarget) -> Target:
    """Give a target another name or level, and an index for that.

    Raises ProblemError, ServiceError.
    """
    changed = service.database.change_target(
        target.id, time.time(), name=wish.name, level=wish.level
    )
    if changed is None:
        raise not_found("no such target")
    if wish.level is not None:
        service.prover.later_of(changed)
    return changed


async def want_packages(service: Service, id: str, token: Token, asked: Asked) -> Build | None:
    """The build that answers a request of a target; None: all is ready. Raises ProblemError."""
    asked = checked(asked, service.settings.limits.atoms)
    await service.repositories.look()
    with service.database.transaction():
        target = current_target(service, token, id)
        index = service.database.indexed(target).values()
        if asked.level in (None, target.level) and ready(asked.packages, index):
            return None
        known = service.dispatcher.answer(target, token, asked)
        if known is None:
            service.quotas.demand_building(token)
        return service.dispatcher.ask(target, token, asked, known)


async def stop_build(service: Service, token: Token, found: Build) -> BuildView:
    """Stop a build that a token may see. Raises ProblemError."""
    demand(token, Role.REQUEST)
    if not all(sees(token, each) for each in found.targets):
        raise ProblemError(409, "the build is shared", todo="ask the administrator to stop it")
    if found.state not in _STOPPABLE:
        raise ProblemError(409, f"the build is {found.state}", todo="repeat it, if it failed")
    await service.dispatcher.stop(found)
    return view_of(service, token, service.database.build(found.id))


def repeat_build(service: Service, token: Token, found: Build) -> BuildView:
    """Put a build back into the queue, one of several targets as a new one. Raises ProblemError."""
    demand(token, Role.REQUEST)
    if found.state not in ENDED:
        raise ProblemError(409, f"the build is {found.state}", todo="stop it first")
    if found.work.inject and not token.inject and token.role is not Role.ADMIN:
        raise forbidden("the build has code of the target", "use a token with that permission")
    if not service.settings.state.description(found.work.digest).exists():
        what = "the target has changed since this build"
        raise ProblemError(409, what, todo="ask for the packages again")
    service.quotas.demand_building(token)
    seen = [each for each in found.targets if sees(token, each)]
    try:
        again = service.dispatcher.repeat(found, seen, token)
    except sqlite3.IntegrityError:  # another process removed a target meanwhile
        raise not_found("no such target") from None
    return view_of(service, token, again)
