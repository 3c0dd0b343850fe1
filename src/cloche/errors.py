"""The base of every error a user can cause.

Each room has its own ``errors`` module with one class for each failure; a class carries data, and
says in three short parts what is wrong, where, and what to do. Only the command line joins them
into the line that a person reads.
"""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """Exit statuses of the command line."""

    DONE = 0
    FAILED = 1
    BAD_INPUT = 2
    HOST = 3
    INTERRUPTED = 130


class ClocheError(Exception):
    """A failure with a known cause. Subclasses set ``status`` and the three texts."""

    status: Exit = Exit.BAD_INPUT

    @property
    def what(self) -> str:
        """What is wrong, in one clause without a full stop."""
        return type(self).__name__

    @property
    def where(self) -> str | None:
        """A file with its line, a package, a step; None where nothing can be named."""
        return None

    @property
    def todo(self) -> str | None:
        """The next step for the reader; None where there is none."""
        return None

    @property
    def detail(self) -> str | None:
        """Further lines worth showing as they are: Portage's own words, the end of a log."""
        return None

    def __str__(self) -> str:
        """Join the parts into the one line that the command line prints."""
        text = f"{self.where}: {self.what}" if self.where else self.what
        return f"{text}; {self.todo}" if self.todo else text
