"""Tokens: random secrets, of which only digests are stored."""

from __future__ import annotations

import hashlib
import secrets
import time

from cloche.service.errors import ServiceError
from cloche.service.values import Role, Token

PREFIX = "cloche_"
LARGEST_QUOTA = 999_999_999  # seconds: it bounds nothing
_SECRET_BYTES = 32


def new_token(
    name: str,
    role: Role,
    *,
    target: str | None = None,
    inject: bool = False,
    quota: int | None = None,
    account: str | None = None,
    id: str | None = None,
) -> tuple[Token, str]:
    """A new token, and its secret, which is shown once. Raises ServiceError.

    Its ``id`` is a random one, unless it is given.
    """
    if role is Role.ADMIN and target is not None:
        raise ServiceError(
            "a token with the role admin is for all targets",
            todo="leave the target out, or use the role request",
        )
    if role is Role.READ and target is None:
        raise ServiceError(
            "a token with the role read would see nothing without a target",
            todo="name one with --target, as `cloche serve targets` lists them",
        )
    secret = PREFIX + secrets.token_urlsafe(_SECRET_BYTES)
    token = Token(id or new_id(), name, role, target, inject, quota, time.time(), account=account)
    return token, secret


def new_id() -> str:
    """A random ID."""
    return secrets.token_hex(4)


def digest_of(secret: str) -> bytes:
    """What is stored of a secret. It is random and long, so a plain SHA-256 is enough.

    Tokens are found by it, so how long a comparison takes tells nothing of a secret.
    """
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
