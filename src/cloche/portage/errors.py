"""What can be wrong with repositories and with names in Portage's files."""

from __future__ import annotations

from collections.abc import Iterable

from cloche.config.errors import Origin, nearest
from cloche.errors import ClocheError


class RepositoryError(ClocheError):
    """An ebuild repository that cannot be used as it is; the base of this room's errors."""

    def __init__(self, origin: Origin, reason: str, todo: str | None = None) -> None:
        self.origin = origin
        self.reason = reason
        self._todo = todo
        super().__init__(origin, reason)

    @property
    def what(self) -> str:
        """The reason."""
        return self.reason

    @property
    def where(self) -> str | None:
        """The file, with the line where it is known."""
        return str(self.origin)

    @property
    def todo(self) -> str | None:
        """What to do about it."""
        return self._todo


class RepositoryNameError(RepositoryError):
    """A repository that calls itself something else than cloche.toml does."""

    def __init__(self, origin: Origin, declared: str, own: str) -> None:
        self.declared = declared
        self.own = own
        super().__init__(
            origin,
            f"the repository calls itself “{own}”, cloche.toml calls it “{declared}”",
            f"write [repos.{own}] in cloche.toml, or change the repository's name",
        )


class MissingMasterError(RepositoryError):
    """A repository whose ``masters`` name one that is not declared."""

    def __init__(self, origin: Origin, repo: str, master: str, declared: Iterable[str]) -> None:
        self.repo = repo
        self.master = master
        self.nearest = nearest(master, declared)
        super().__init__(
            origin,
            f"repository “{repo}” builds on “{master}”, which is not declared",
            f"add [repos.{master}] with its path to cloche.toml",
        )


class UnknownProfileError(RepositoryError):
    """A profile that its repository does not have."""

    def __init__(self, origin: Origin, repo: str, path: str, choices: Iterable[str]) -> None:
        self.repo = repo
        self.path = path
        self.choices = tuple(sorted(choices))
        self.nearest = nearest(path, self.choices)
        listed = ", ".join(self.choices[:10])
        close = f"did you mean “{repo}:{self.nearest}”?" if self.nearest else ""
        there_is = f"there is: {listed}" if listed else "it has none"
        super().__init__(
            origin,
            f"repository “{repo}” has no profile “{path}”",
            f"{close} {there_is}".strip(),
        )


class MissingPartError(RepositoryError):
    """An ebuild or eclass that a step needs and that no repository has."""


class BadNameError(ClocheError):
    """A string that is no CPV, or no name of a binary package."""

    def __init__(self, text: str, expected: str) -> None:
        self.text = text
        self.expected = expected
        super().__init__(text, expected)

    @property
    def what(self) -> str:
        """The string, and what it should look like."""
        return f"“{self.text}” is not {self.expected}"
