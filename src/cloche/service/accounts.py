"""Accounts: a token, with the targets that it enrolled and their tokens.

They share one quota: a token of a target names the account of the one that enrolled it.
"""

from __future__ import annotations

from dataclasses import dataclass

from cloche.service.database import Database
from cloche.service.errors import ServiceError, unknown
from cloche.service.tokens import digest_of, new_token
from cloche.service.values import Payer, Role, Target, Token


@dataclass(frozen=True, slots=True)
class Account:
    """A token, the targets that it enrolled, and the valid tokens of these."""

    token: Token
    targets: tuple[Target, ...]
    tokens: tuple[Token, ...]


def account_of(database: Database, id: str) -> Account:
    """A token with what it enrolled. Raises ServiceError."""
    tokens = {each.id: each for each in database.tokens()}
    if id not in tokens:
        raise unknown("token", id, "token list")
    targets = tuple(each for each in database.targets() if each.owner == id)
    enrolled = {each.id for each in targets}
    others = (each for each in tokens.values() if each.id != id and each.revoked is None)
    theirs = tuple(each for each in others if each.account == id or each.target in enrolled)
    return Account(tokens[id], targets, theirs)


def payer_of(database: Database, target: str) -> Payer | None:
    """Whose quota a target uses: that of its first token; None if it has none."""
    own = [each for each in database.tokens() if each.target == target]
    return own[0].payer if own else None


def add_token(
    database: Database,
    name: str,
    role: Role,
    *,
    target: str | None = None,
    inject: bool = False,
    quota: int | None = None,
    id: str | None = None,
) -> tuple[Token, str]:
    """Make a token, perhaps with an ``id``; return it with its secret. Raises ServiceError.

    One for a target is in the target's account, and has its quota.
    """
    account = None
    with database.transaction():
        if target is not None and database.target(target) is None:
            raise unknown("target", target, "targets")
        if target is not None and (payer := payer_of(database, target)) is not None:
            if quota is not None:
                what = "a token for a target has the quota of the one that enrolled it"
                raise ServiceError(what, todo="leave the quota out, or change that token's")
            account, quota = payer.account, payer.quota
        made, secret = new_token(
            name, role, target=target, inject=inject, quota=quota, account=account, id=id
        )
        database.add_token(made, digest_of(secret))
    database.keep()  # it is shown this once
    return made, secret


def revoke(database: Database, account: Account, now: float, *, with_targets: bool) -> list[Token]:
    """Revoke a token, perhaps with those of its targets; return those that were valid."""
    with database.transaction():
        found = revocable(account, with_targets=with_targets)
        done = [each for each in found if database.revoke(each.id, now)]
    database.keep()
    return done


def revocable(account: Account, *, with_targets: bool) -> list[Token]:
    """What `revoke` would revoke. Raises ServiceError where that is nothing."""
    token = account.token
    found = [*([] if token.revoked else [token]), *(account.tokens if with_targets else ())]
    if not found:
        raise unknown("valid token", token.id, "token list")
    return found
