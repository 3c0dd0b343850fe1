"""Errors of the service."""

from __future__ import annotations

from pathlib import Path

from cloche.errors import ClocheError, Exit

EXTRA = "run `pip install 'cloche[serve]'`, or in a checkout `.venv/bin/pip install -e '.[serve]'`"


class ServiceError(ClocheError):
    """The service cannot start, or its state is not as it was left."""


def missing_extra(error: ImportError) -> ServiceError:
    """The extra of the package is not installed."""
    name = error.name or "fastapi"
    return ServiceError(f"{name} is not installed", todo=EXTRA, status=Exit.HOST)


def in_use(state: Path) -> ServiceError:
    """Another process serves from this state."""
    what = "another `cloche serve` uses this directory"
    return ServiceError(what, where=state, todo="name another with --state", status=Exit.HOST)


def unknown(kind: str, name: str, command: str) -> ServiceError:
    """Nothing has this name."""
    return ServiceError(f"unknown {kind} “{name}”", todo=f"see `cloche serve {command}`")


def ended() -> ServiceError:
    """The service ends, and with it what is done."""
    return ServiceError("the service ends", status=Exit.HOST)


def stopped() -> ClocheError:
    """The build was stopped."""
    return ClocheError("the build was stopped", todo="repeat it", status=Exit.INTERRUPTED)


def unwanted() -> ClocheError:
    """The error of a build that no valid token and no target wants any more."""
    what = "the tokens with which it was asked for were revoked, or the targets removed"
    return ClocheError(what, status=Exit.INTERRUPTED)


def beyond_quota() -> ClocheError:
    """The build took longer than those who asked for it may build in a day."""
    what = "the quota of building a day is used up"
    return ClocheError(what, todo="repeat it later", status=Exit.INTERRUPTED)
