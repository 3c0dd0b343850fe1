"""Errors of the broker and its workers, and errors as data for the client."""

from __future__ import annotations

import sqlite3
import traceback
from typing import Any, Literal

from cloche.errors import ClocheError, Exit, host_trouble

_LONGEST = 16384  # characters of a text; a report to the client is one datagram


class BrokerError(ClocheError):
    """A broker or worker, process ``pid``, ended during a request."""

    status = Exit.HOST

    def __init__(self, role: Literal["broker", "worker"], pid: int) -> None:
        super().__init__(
            f"the {role} process {pid} has ended",
            todo="try again; the kernel's log says whether it was killed for lack of memory",
        )


def data_of(error: Exception) -> dict[str, Any]:
    """An error as data for the client; other exceptions are the host's faults, or bugs."""
    if isinstance(error, OSError | sqlite3.Error):
        error = host_trouble(error)
    if not isinstance(error, ClocheError):
        what = f"a bug in cloche: {type(error).__name__}: {error}"
        detail = "".join(traceback.format_exception(error))[-_LONGEST:]
        error = ClocheError(what, detail=detail, status=Exit.FAILED)
    data = error.as_data()
    return {name: text[:_LONGEST] if isinstance(text, str) else text for name, text in data.items()}
