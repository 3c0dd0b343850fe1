"""The base of every error a user can cause.

Each room has its own ``errors`` module with one class for each failure; a class carries data, and
says in three short parts what is wrong, where, and what to do. Only the command line joins them
into the line that a person reads.
"""

from __future__ import annotations

import errno
import os
from enum import IntEnum


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
    worth showing as they are: Portage's own words, the end of a log. The last three may be None.
    ``status`` is the class's, unless the error has one of its own.
    """

    status: Exit = Exit.BAD_INPUT
    _what = ""
    _where: str | None = None
    _todo: str | None = None
    _detail: str | None = None

    def __init__(
        self,
        what: object = "",
        *legacy: object,
        where: object = None,
        todo: str | None = None,
        detail: str | None = None,
        status: Exit | None = None,
    ) -> None:
        super().__init__(what, *legacy)
        self._what, self._todo, self._detail = str(what), todo, detail or None
        self._where = None if where is None else str(where)
        if status is not None:
            self.status = status

    @property
    def what(self) -> str:
        """What is wrong."""
        return self._what

    @property
    def where(self) -> str | None:
        """Where."""
        return self._where

    @property
    def todo(self) -> str | None:
        """What to do."""
        return self._todo

    @property
    def detail(self) -> str | None:
        """Further lines."""
        return self._detail

    def __str__(self) -> str:
        """Join the parts into the one line that the command line prints."""
        text = f"{self.where}: {self.what}" if self.where else self.what
        return f"{text}; {self.todo}" if self.todo else text


NO_ROOM = "free some room, or `cloche store gc`, or use another --store"
FULL = (errno.ENOSPC, errno.EDQUOT)
_FULL_WORDS = ("No space left on device", "Disk quota exceeded")  # strerror(3), in the C locale


def is_full(error: BaseException) -> bool:
    """True when an error says that a file system has no room left; SQLite says it in words."""
    if isinstance(error, HostTroubleError):
        return error.full
    return (isinstance(error, OSError) and error.errno in FULL) or "disk is full" in str(error)


def says_full(words: str) -> bool:
    """True when a program's own words say that a file system has no room left."""
    return any(each in words for each in _FULL_WORDS)


class HostTroubleError(ClocheError):
    """The operating system, or SQLite, refused something that nobody had a better word for."""

    status = Exit.HOST

    def __init__(self, error: Exception, place: str | None = None, *, full: bool = False) -> None:
        super().__init__(error, place)
        self.error, self.place = error, place
        self.full = full or is_full(error)

    @property
    def what(self) -> str:
        """The system's words."""
        if isinstance(self.error, OSError) and self.error.strerror:
            return self.error.strerror
        if self.full:
            return f"No space left on device ({self.error})"
        return str(self.error) or type(self.error).__name__

    @property
    def where(self) -> str | None:
        """The file, where the system names one."""
        name = getattr(self.error, "filename", None)
        if isinstance(name, bytes):
            return os.fsdecode(name)
        return str(name) if name is not None else self.place

    @property
    def todo(self) -> str | None:
        """What helps where the kind is known."""
        if self.full:
            return NO_ROOM
        if isinstance(self.error, PermissionError):
            return "see whom it belongs to; a store is used by one user alone"
        return None
