"""What can go wrong while a plan is made or carried out."""

from __future__ import annotations

from cloche.errors import ClocheError, Exit
from cloche.plan.names import cp_of

SHOWN = 3  # files that an error's one line names


class MissingSeedError(ClocheError):
    """A machine names a seed that is declared but not made yet."""

    def __init__(self, seed: str) -> None:
        super().__init__(seed)
        self.seed = seed

    @property
    def what(self) -> str:
        """That it has to be made first."""
        return f"the seed `{self.seed}` is not in the store yet"

    @property
    def todo(self) -> str | None:
        """The command that makes it."""
        return f"run `cloche seed bootstrap {self.seed}`"


class LiveError(ClocheError):
    """Ebuilds that fetch by their own code (PROPERTIES=live), where the user does not allow it."""

    def __init__(self, machine: str, packages: tuple[str, ...]) -> None:
        super().__init__(machine, packages)
        self.machine, self.packages = machine, packages

    @property
    def what(self) -> str:
        """Which, and why they cannot be built."""
        return (
            f"live ebuilds fetch their sources by their own code, which is not allowed: "
            f"{', '.join(self.packages)}"
        )

    @property
    def where(self) -> str | None:
        """The machine."""
        return f"machine {self.machine}"

    @property
    def todo(self) -> str:
        """What a person can do."""
        names = ", ".join(f'"{cp_of(each)}"' for each in self.packages)
        return (
            f"allow it with --live, or with `live = [{names}]` in machines/{self.machine}.toml; "
            "or take a version with SRC_URI"
        )


class NotLockedError(ClocheError):
    """``--locked`` with a machine that cloche.lock does not have."""

    def __init__(self, machine: str) -> None:
        super().__init__(machine)
        self.machine = machine

    @property
    def what(self) -> str:
        """That it is not there."""
        return f"the machine {self.machine} is not in cloche.lock"

    @property
    def todo(self) -> str:
        """The command that puts it there."""
        return f"run `cloche lock {self.machine}`, and put the file under version control"


class LockDriftError(ClocheError):
    """What a machine would be made from is not what cloche.lock pins."""

    def __init__(self, machine: str, differences: tuple[str, ...]) -> None:
        super().__init__(machine, differences)
        self.machine = machine
        self.differences = differences

    @property
    def what(self) -> str:
        """The first few differences."""
        more = len(self.differences) - 3
        listed = "; ".join(self.differences[:3]) + (f"; {more} more" if more > 0 else "")
        return f"{self.machine} is not what cloche.lock pins: {listed}"

    @property
    def todo(self) -> str:
        """Both ways out."""
        return f"undo the change, or accept it with `cloche lock {self.machine}`"

    @property
    def detail(self) -> str | None:
        """All of them, where the line does not hold them."""
        return "\n".join(self.differences) if len(self.differences) > 3 else None


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


class BuildError(ClocheError):
    """The sum of a build in which packages failed; each was told by its own event.

    Its status is `Exit.HOST` where nothing failed but what this host could not do.
    """

    status = Exit.FAILED

    def __init__(
        self,
        machine: str,
        failed: tuple[str, ...],
        skipped: int,
        errors: tuple[ClocheError, ...],
    ) -> None:
        super().__init__(machine, failed, skipped)
        self.machine, self.failed = machine, failed
        self.skipped, self.errors = skipped, errors
        own = {error.status for error in errors if not isinstance(error, StoppedError)}
        if own == {Exit.HOST}:
            self.status = Exit.HOST

    @property
    def what(self) -> str:
        """How many and which."""
        more = f"; {self.skipped} more were not started" if self.skipped else ""
        return f"{len(self.failed)} failed: {', '.join(self.failed)}{more}"

    @property
    def todo(self) -> str | None:
        """The first one's log, and the shell that opens the root it failed in."""
        steps = [error for error in self.errors if isinstance(error, StepError) and error.log]
        if not steps:
            return None
        first = next((error for error in steps if error.step == "build"), steps[0])
        shell = f" or `{first.enter}`" if first.enter else ""
        return f"look with `{first.log_command}`{shell}"


class CollisionError(ClocheError):
    """Packages that cannot be in one root; ``found`` has (one, other, paths) for each pair.

    They own the same files, or one has a file or a link where another one has a directory. Stock
    emerge refuses to merge the second one of such a pair. ``root`` is "machine NAME", or the id of
    the package that is built there.
    """

    status = Exit.FAILED

    def __init__(self, root: str, found: tuple[tuple[str, str, tuple[str, ...]], ...]) -> None:
        super().__init__(root, found)
        self.root, self.found = root, found

    @property
    def what(self) -> str:
        """The first pair, and how many more there are."""
        first, second, paths = self.found[0]
        rest = len(paths) - SHOWN
        files = ", ".join(paths[:SHOWN]) + (f" and {rest} more" if rest > 0 else "")
        more = f" ({len(self.found) - 1} more such pairs)" if len(self.found) > 1 else ""
        return f"file collision of {first} and {second}: {files}{more}"

    @property
    def where(self) -> str | None:
        """The root."""
        return self.root

    @property
    def todo(self) -> str | None:
        """What a person can do."""
        return "leave one of them out, or mask the files of one with INSTALL_MASK in package.env"

    @property
    def detail(self) -> str | None:
        """All pairs with all of their files, where the one line does not have them."""
        if len(self.found) == 1 and len(self.found[0][2]) <= SHOWN:
            return None
        pairs = (f"{a} and {b}:\n  " + "\n  ".join(paths) for a, b, paths in self.found)
        return "\n".join(pairs)


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


class KeptRootBusyError(ClocheError):
    """Somebody looks around in the kept root of a failed step already."""

    status = Exit.HOST

    def __init__(self, package: str) -> None:
        super().__init__(package)
        self.package = package

    @property
    def what(self) -> str:
        """That it is taken."""
        return "another shell is open in the root that it failed in"

    @property
    def where(self) -> str | None:
        """The package."""
        return self.package

    @property
    def todo(self) -> str | None:
        """What ends that."""
        return "leave that shell first"


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
