"""What can go wrong when something is looked up: a package, a phase of a log, a build."""

from __future__ import annotations

from collections.abc import Sequence

from cloche.errors import ClocheError


class UnknownPackageError(ClocheError):
    """An atom on the command line matches nothing known."""

    def __init__(self, atom: str, known: tuple[str, ...]) -> None:
        super().__init__(atom)
        self.atom, self.known = atom, known

    @property
    def what(self) -> str:
        """The atom."""
        return f"no package matches `{self.atom}`"

    @property
    def todo(self) -> str | None:
        """The nearest names."""
        if self.known:
            return f"did you mean {', '.join(self.known)}?"
        return "see `cloche plan MACHINE`"


class NothingFoundError(ClocheError):
    """A query that nothing in the machines answers; ``todo`` says where else to look."""

    def __init__(self, what: str, todo: str) -> None:
        super().__init__(what, todo)
        self._what, self._todo = what, todo

    @property
    def what(self) -> str:
        """The answer."""
        return self._what

    @property
    def todo(self) -> str | None:
        """What is not looked at."""
        return self._todo


class UnknownPhaseError(ClocheError):
    """A log has no part for a phase; ``known`` are those that it has."""

    def __init__(self, phase: str, known: tuple[str, ...]) -> None:
        super().__init__(phase)
        self.phase, self.known = phase, known

    @property
    def what(self) -> str:
        """The phase."""
        return f"the log has no phase `{self.phase}`"

    @property
    def todo(self) -> str | None:
        """Those that there are."""
        return f"it has {', '.join(self.known)}" if self.known else "leave --phase out"


class UnknownBuildError(ClocheError):
    """A build of a machine that is not recorded, or not any more."""

    def __init__(self, machine: str, number: int | None, known: Sequence[int]) -> None:
        super().__init__(machine, number)
        self.machine, self.number, self.known = machine, number, tuple(known)

    @property
    def what(self) -> str:
        """Which."""
        which = "build that built something" if self.number is None else f"build {self.number}"
        return f"no {which} is recorded"

    @property
    def where(self) -> str | None:
        """The machine."""
        return f"machine {self.machine}"

    @property
    def todo(self) -> str | None:
        """Those that there are."""
        return f"there is: {', '.join(map(str, self.known))}"


class UnknownNewsError(ClocheError):
    """A news item that is not among those that concern a machine."""

    def __init__(self, name: str, known: Sequence[str]) -> None:
        super().__init__(name)
        self.name, self.known = name, tuple(known)

    @property
    def what(self) -> str:
        """Which."""
        return f"no news item {self.name} concerns the machine"

    @property
    def todo(self) -> str | None:
        """Those that do."""
        return f"there is: {', '.join(self.known)}" if self.known else None


class NotBuiltError(ClocheError):
    """Something that has to be built first; ``command`` does it."""

    def __init__(self, name: str, command: str) -> None:
        super().__init__(name, command)
        self.name, self.command = name, command

    @property
    def what(self) -> str:
        """That it is not there yet."""
        return f"{self.name}: not built yet"

    @property
    def todo(self) -> str | None:
        """The command."""
        return f"run `{self.command}`"
