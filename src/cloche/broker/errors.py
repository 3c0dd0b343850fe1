"""What a broker's processes report, and their own end."""

from __future__ import annotations

import sqlite3
import traceback
from dataclasses import dataclass
from typing import Literal

from cloche.errors import ClocheError, Exit, HostTroubleError

_LONGEST = 16384  # characters of a text; a report to the client is one datagram


class BrokerError(ClocheError):
    """A broker, or one of its workers, process ``pid``, ended while something was asked of it."""

    status = Exit.HOST

    def __init__(self, role: Literal["broker", "worker"], pid: int) -> None:
        super().__init__(
            f"the {role} process {pid} has ended",
            todo="try again; the kernel's log says whether it was killed for lack of memory",
        )
        self.role, self.pid = role, pid


@dataclass(frozen=True, slots=True)
class Failure:
    """An error of another process: ``kind`` is the name of its class."""

    kind: str
    what: str
    where: str | None
    todo: str | None
    detail: str | None
    status: int


class RemoteError(ClocheError):
    """An error that was raised in a broker or a worker, in its own words; ``kind`` is its class.

    Its status is that of the original, too.
    """

    status = Exit.FAILED

    def __init__(self, failure: Failure) -> None:
        super().__init__(
            failure.what,
            where=failure.where,
            todo=failure.todo,
            detail=failure.detail,
            status=Exit(failure.status),
        )
        self.kind = failure.kind


def failure_of(error: Exception) -> Failure:
    """The words of an error, to be sent to the client."""
    kind = type(error).__name__
    if isinstance(error, OSError | sqlite3.Error):
        error = HostTroubleError(error)
    if not isinstance(error, ClocheError):
        detail = "".join(traceback.format_exception(error))[-_LONGEST:]
        return Failure(kind, f"a bug of cloche: {kind}: {error}", None, None, detail, Exit.FAILED)
    more = [text and text[:_LONGEST] for text in (error.where, error.todo, error.detail)]
    return Failure(kind, error.what[:_LONGEST], more[0], more[1], more[2], error.status)
