"""The base class of all errors with a known cause, and the exit statuses.

A room has one class of errors in its own ``errors`` module, and a subclass only if it is caught or
its data are used. An error raised in several places is made by a function there. Only the command
line joins the parts into the line that the user reads.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Mapping
from enum import IntEnum
from typing import Any


class Exit(IntEnum):
    """Exit statuses of the command line.

    ``FAILED``: the work did not succeed (a build, a download, a check); trying again, or fixing a
    package, may help. ``BAD_INPUT``: an option, file, name or pin is wrong, on every host.
    ``HOST``: this host cannot do it now: it lacks a program, permission, kernel feature or disk
    space, or another process is in the way. ``UNREAD``: the reader of the output went away before
    its end, as in ``| head``; a shell shows the same of programs that SIGPIPE ended.
    """

    DONE = 0
    FAILED = 1
    BAD_INPUT = 2
    HOST = 3
    INTERRUPTED = 130
    UNREAD = 141


class ClocheError(Exception):
    """A failure with a known cause, in the parts of the line that the user reads.

    ``what`` says what is wrong, in one clause without a full stop; ``where`` is a file with its
    line, a package, a step; ``todo`` is what the user can do; ``detail`` has further lines to show
    verbatim: Portage's output, the end of a log. ``status`` is the class's, unless the error has
    its own.
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
        """The error that became ``data``; a `ClocheError` where its class is not known here.

        Of a `ClocheError` any part but ``what`` may be left out.
        """
        own = {name: _restored(value) for name, value in data.items() if name != "error"}
        kinds = {kind.__name__: kind for kind in _subclasses(ClocheError)}
        kind = kinds.get(str(data.get("error")), ClocheError)
        error = kind.__new__(kind, own["what"])
        parts = {"where": None, "todo": None, "detail": None, "status": kind.status, **own}
        vars(error).update(parts, status=Exit(parts["status"]))
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
#: strerror(3), in the C locale, and apt(8)'s own words.
_FULL_WORDS = ("No space left on device", "Disk quota exceeded", "You don't have enough free space")


def is_full(error: BaseException) -> bool:
    """True if an error means that a file system is full; SQLite only has a message for it."""
    return (isinstance(error, OSError) and error.errno in FULL) or "disk is full" in str(error)


def says_full(words: str) -> bool:
    """True if a program's output says that a file system is full."""
    return any(each in words for each in _FULL_WORDS)


def unwritable(path: object, error: OSError, todo: str) -> ClocheError:
    """A file or directory that the user named cannot be made or changed; ``todo`` is the advice.

    Its advice for a full file system is always the same.
    """
    what = f"cannot be written: {error.strerror or error}"
    return ClocheError(what, where=path, todo=NO_ROOM if is_full(error) else todo, status=Exit.HOST)


def host_trouble(error: Exception, place: str | None = None, *, full: bool = False) -> ClocheError:
    """The error for an exception of the operating system or SQLite without a more specific one.

    ``place`` is used if the exception names no file; ``full`` says that the disk is full although
    the exception does not.
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
        todo = "check its owner; a store belongs to a single user"
    elif isinstance(error, OSError) and error.errno == errno.EROFS:
        todo = "name a place that can be written"
    name = getattr(error, "filename", None)
    if isinstance(name, bytes):
        name = os.fsdecode(name)
    return ClocheError(what, where=place if name is None else name, todo=todo, status=Exit.HOST)
