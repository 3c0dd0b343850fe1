"""The one base of all errors that have a known cause, and the statuses they end with.

A room has one class of errors in its own ``errors`` module, and a subclass only where somebody
catches it or uses its data. What is said in several places is a function there that returns an
error. Only the command line joins the parts into the line that a person reads.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Mapping
from enum import IntEnum
from typing import Any


class Exit(IntEnum):
    """Exit statuses of the command line.

    ``FAILED``: the work was tried and did not succeed (a build, a download, a check); trying again,
    or mending a package, may help. ``BAD_INPUT``: what was asked for, written, named or pinned is
    wrong, here and on every other host. ``HOST``: this machine cannot do it now: a program, a
    right, a feature of the kernel or room is missing, or somebody else is in the way.
    """

    DONE = 0
    FAILED = 1
    BAD_INPUT = 2
    HOST = 3
    INTERRUPTED = 130


class ClocheError(Exception):
    """A failure with a known cause, in the parts of the line that a person reads.

    ``what`` says what is wrong, in one clause without a full stop; ``where`` is a file with its
    line, a package, a step; ``todo`` is the next step for the reader; ``detail`` has further lines
    worth showing as they are: Portage's own words, the end of a log. ``status`` is the class's,
    unless the error has one of its own.
    """

    status: Exit = Exit.BAD_INPUT

    def __init__(
        self,
        what: str,
        *,
        where: object = None,
        todo: str | None = None,
        detail: str | None = None,
        status: Exit | None = None,
    ) -> None:
        super().__init__(what)
        self.what, self.todo, self.detail = what, todo, detail or None
        self.where = None if where is None else str(where)
        if status is not None:
            self.status = status

    def __str__(self) -> str:
        """Join the parts into the one line that the command line prints."""
        text = f"{self.where}: {self.what}" if self.where else self.what
        return f"{text}; {self.todo}" if self.todo else text

    def as_data(self) -> dict[str, Any]:
        """All of it as plain data, for another process; `from_data` is the way back."""
        own = {name: _plain(value) for name, value in vars(self).items()}
        return {"error": type(self).__name__, **own, "status": int(self.status)}

    @staticmethod
    def from_data(data: Mapping[str, Any]) -> ClocheError:
        """The error that became ``data``; a `ClocheError` where its class is not known here."""
        own = {name: _restored(value) for name, value in data.items() if name != "error"}
        kinds = {kind.__name__: kind for kind in _subclasses(ClocheError)}
        kind = kinds.get(str(data["error"]), ClocheError)
        error = kind.__new__(kind, own["what"])
        vars(error).update(own, status=Exit(own["status"]))
        return error

    def __reduce__(self) -> tuple[Callable[..., ClocheError], tuple[dict[str, Any]]]:
        """Let pickle go the same way: a subclass has arguments of its own."""
        return ClocheError.from_data, (self.as_data(),)


def _subclasses(kind: type[ClocheError]) -> Iterator[type[ClocheError]]:
    for each in kind.__subclasses__():
        yield each
        yield from _subclasses(each)


def _plain(value: Any) -> Any:
    if isinstance(value, ClocheError):
        return value.as_data()
    return [_plain(each) for each in value] if isinstance(value, tuple) else value


def _restored(value: Any) -> Any:
    if isinstance(value, Mapping):
        return ClocheError.from_data(value)
    return tuple(_restored(each) for each in value) if isinstance(value, list) else value


NO_ROOM = "free some space, or `cloche store gc`, or use another --store"
FULL = (errno.ENOSPC, errno.EDQUOT)
_FULL_WORDS = ("No space left on device", "Disk quota exceeded")  # strerror(3), in the C locale


def is_full(error: BaseException) -> bool:
    """True when an error says that a file system has no room left; SQLite says it in words."""
    return (isinstance(error, OSError) and error.errno in FULL) or "disk is full" in str(error)


def says_full(words: str) -> bool:
    """True when a program's own words say that a file system has no room left."""
    return any(each in words for each in _FULL_WORDS)


def host_trouble(error: Exception, place: str | None = None, *, full: bool = False) -> ClocheError:
    """What the operating system, or SQLite, refused, where nobody has a better word for it.

    ``place`` stands for the file where the system names none; ``full`` says that there is no room
    although the error does not.
    """
    full = full or is_full(error)
    what, todo = str(error) or type(error).__name__, None
    if isinstance(error, OSError) and error.strerror:
        what = error.strerror
    elif full:
        what = f"No space left on device ({error})"
    if full:
        todo = NO_ROOM
    elif isinstance(error, PermissionError):
        todo = "see whom it belongs to; a store is used by one user alone"
    name = getattr(error, "filename", None)
    if isinstance(name, bytes):
        name = os.fsdecode(name)
    return ClocheError(what, where=place if name is None else name, todo=todo, status=Exit.HOST)
