"""Errors of a cluster."""

from __future__ import annotations

from cloche.errors import ClocheError, Exit

EXTRA = (
    "run `pip install 'cloche[cluster]'`, or in a checkout `.venv/bin/pip install -e '.[cluster]'`"
)


class ClusterError(ClocheError):
    """The cluster cannot do its work: no scheduler, no worker that fits, no connection."""

    status = Exit.HOST


class TransferError(ClusterError):
    """What another host has did not arrive whole; ``where`` is that host's address."""


class UnfitError(ClusterError):
    """A worker that must not run a task; the message says why."""


def missing_extra(error: ImportError) -> ClusterError:
    """The extra of the package is not installed."""
    return ClusterError(f"{error.name or 'distributed'} is not installed", todo=EXTRA)


def no_scheduler(address: str, why: object = None) -> ClusterError:
    """Nobody answers at the scheduler's address."""
    more = f": {why}" if why else ""
    todo = "start `dask scheduler` there, or a cluster on this host by `cloche cluster up`"
    return ClusterError(f"no scheduler answers{more}", where=address, todo=todo)
