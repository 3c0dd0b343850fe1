"""What an import gives: the files of a project, and what the user has to know about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ProjectFile:
    """A file of the project, or a symbolic link to ``link``."""

    content: bytes = b""
    executable: bool = False
    link: str | None = None


@dataclass(frozen=True, slots=True)
class Omission:
    """What is not carried over: its name at the source, why, and what the user can do."""

    name: str
    why: str
    todo: str = ""

    def __str__(self) -> str:
        return f"{self.name}: {self.why}" + (f"; {self.todo}" if self.todo else "")


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two places that contradict each other, as ``PLACE:LINE``, with their values.

    The second one holds in the project. ``machines`` have both, ``before`` says what the source did
    about it.
    """

    subject: str
    first: str
    first_value: str
    second: str
    second_value: str
    machines: tuple[str, ...]
    before: str = ""

    def __str__(self) -> str:
        first, second = (
            f"{self.first_value} in {self.first}",
            f"{self.second_value} in {self.second}",
        )
        before = f"; {self.before}" if self.before else ""
        whose = ", ".join(self.machines)
        return f"{self.subject}: {first}, {second}: the second holds{before} (machine {whose})"


@dataclass(frozen=True, slots=True)
class Imported:
    """A project, not yet written. ``source`` is what it was made of.

    ``checks`` are guesses and changes of meaning that the user should look at. ``seeds`` and
    ``synced`` are the names of what the user makes and syncs before the first plan.
    """

    source: str
    files: Mapping[str, ProjectFile]
    machines: tuple[str, ...]
    conflicts: tuple[Conflict, ...] = ()
    omissions: tuple[Omission, ...] = ()
    checks: tuple[str, ...] = ()
    seeds: tuple[str, ...] = ()
    synced: tuple[str, ...] = ()
