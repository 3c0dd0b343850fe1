"""What can go wrong with a single step."""

from __future__ import annotations

from cloche.errors import ClocheError, Exit

SHOWN = 3  # files that an error's one line names


class StepError(ClocheError):
    """A package's step failed. ``reason`` is a clause; ``tail`` the lines of the log that tell why.

    ``enter`` is the command that opens the root it failed in, where that was kept.
    """

    status = Exit.FAILED

    def __init__(
        self, package: str, step: str, reason: str, *, log: str | None = None, tail: str = ""
    ) -> None:
        super().__init__(package, step, reason)
        self.package, self.step, self.reason = package, step, reason
        self.log, self.tail = log, tail
        self.hint: str | None = None
        self.enter: str | None = None

    @property
    def what(self) -> str:
        """The step and why."""
        return f"{self.step} failed: {self.reason}"

    @property
    def where(self) -> str | None:
        """The package."""
        return self.package

    @property
    def todo(self) -> str | None:
        """A found cause's cure, or where the log is."""
        if self.hint or not self.log:
            return self.hint
        return f"see `{self.log_command}`"

    @property
    def log_command(self) -> str:
        """What shows the whole log: without a step, `cloche log` takes a build's."""
        step = f" --step {self.step}" if self.step in ("fetch", "merge") else ""
        return f"cloche log {self.package.split('::')[0]}{step}"

    @property
    def detail(self) -> str | None:
        """The lines of the log that tell why."""
        return self.tail or None


class MissingDistfileError(StepError):
    """A source that is not here, and may not be fetched."""

    def __init__(self, package: str, files: tuple[str, ...]) -> None:
        super().__init__(package, "fetch", f"not here and --offline: {', '.join(files)}")
        self.hint = "run once without --offline"


class FetchByHandError(StepError):
    """RESTRICT=fetch: sources that a person has to bring into ``directory``.

    ``text`` is what the ebuild's pkg_nofetch says.
    """

    def __init__(
        self, package: str, files: tuple[str, ...], directory: str | None, log: str, text: str
    ) -> None:
        names = ", ".join(files)
        super().__init__(package, "fetch", f"to be fetched by hand: {names}", log=log, tail=text)
        place = directory or "a directory, and name it in cloche.toml: [build] distfiles"
        self.hint = f"put {'it' if len(files) == 1 else 'them'} into {place}"


class DiskFullError(StepError):
    """The store's filesystem has no room left."""

    status = Exit.HOST

    def __init__(self, package: str, step: str, path: str, free: int, reserve: int) -> None:
        mib = 1 << 20
        super().__init__(
            package, step, f"no room left in {path} ({free // mib} MiB free, {reserve // mib} kept)"
        )
        self.hint = (
            "free some room, or `cloche store gc`, or use another --store; "
            "`[store] reserve` in cloche.toml says how much is kept free"
        )


class StoppedError(StepError):
    """A step that was ended because the whole build is being interrupted: no failure of its own."""

    def __init__(self, package: str, step: str) -> None:
        super().__init__(package, step, "interrupted")


class NoCacheError(ClocheError):
    """A repository's metadata cache could not be made; Portage can do without."""

    status = Exit.FAILED

    def __init__(self, repository: str, reason: str) -> None:
        super().__init__(repository, reason)
        self.repository, self.reason = repository, reason

    @property
    def what(self) -> str:
        """Whose and why."""
        return f"{self.repository} stays without a metadata cache: {self.reason}"


class GuestError(ClocheError):
    """A guest script ended without an answer: it died, or was killed."""

    status = Exit.FAILED

    def __init__(self, script: str, ended: str, tail: str) -> None:
        super().__init__(script, ended)
        self.script, self.ended, self.tail = script, ended, tail

    @property
    def what(self) -> str:
        """Which and how."""
        return f"the guest's {self.script} ended without an answer ({self.ended})"

    @property
    def detail(self) -> str | None:
        """Its last words."""
        return self.tail or None
