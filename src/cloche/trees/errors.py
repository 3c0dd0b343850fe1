"""What can go wrong with repositories from elsewhere."""

# ruff: noqa: D102 - the texts of an error are documented in cloche.errors

from __future__ import annotations

from cloche.errors import ClocheError, Exit, says_full


class TreeError(ClocheError):
    """The base of this room's errors; ``repo`` is the repository's name."""

    status = Exit.FAILED

    def __init__(self, repo: str, *data: object) -> None:
        super().__init__(repo, *data)
        self.repo = repo

    @property
    def where(self) -> str | None:
        return f"[repos.{self.repo}]"


class MissingTreeError(TreeError):
    """A repository that is declared but was not taken yet; ``locked``: cloche.lock has it."""

    status = Exit.BAD_INPUT

    def __init__(self, repo: str, *, locked: bool) -> None:
        super().__init__(repo, locked)
        self.locked = locked

    @property
    def what(self) -> str:
        which = " as cloche.lock pins it" if self.locked else ""
        return f"the repository `{self.repo}` is not in the store yet{which}"

    @property
    def todo(self) -> str:
        return f"run `cloche repo sync {self.repo}{' --locked' if self.locked else ''}`"


class MissingProgramError(TreeError):
    """A program of the host that this type of sync needs."""

    status = Exit.HOST

    def __init__(self, repo: str, program: str, package: str) -> None:
        super().__init__(repo, program, package)
        self.program, self.package = program, package

    @property
    def what(self) -> str:
        return f"this host has no {self.program}"

    @property
    def todo(self) -> str:
        return f"install {self.package}"


class ProgramError(TreeError):
    """git, rsync or unsquashfs failed; ``words`` are its own."""

    def __init__(self, repo: str, program: str, source: str, words: str) -> None:
        super().__init__(repo, program, source, words)
        self.program, self.source, self.words = program, source, words
        if says_full(words):
            self.status = Exit.HOST

    @property
    def what(self) -> str:
        lines = [line.strip() for line in self.words.splitlines() if line.strip()]
        # git says what is wrong first and gives advice after it; the others end with it.
        fatal = next((line for line in lines if line.startswith(("fatal:", "error:"))), "")
        said = fatal or (lines[-1] if lines else "it said nothing")
        return f"{self.program} could not take {self.source}: {said}"

    @property
    def todo(self) -> str:
        if self.status is Exit.HOST:
            return "free some room, or `cloche store gc`, or use another --store"
        return "check sync_uri, the network and the rights; what has come is used the next time"

    @property
    def detail(self) -> str | None:
        return self.words.strip() if len(self.words.strip().splitlines()) > 1 else None


class CommitGoneError(TreeError):
    """The locked commit cannot be had."""

    def __init__(self, repo: str, commit: str, source: str) -> None:
        super().__init__(repo, commit, source)
        self.commit, self.source = commit, source

    @property
    def what(self) -> str:
        return f"{self.source} does not give the commit {self.commit[:12]}, which cloche.lock pins"

    @property
    def todo(self) -> str:
        return f"take it from elsewhere, or move on with `cloche repo sync {self.repo}`"


class TreeDriftError(TreeError):
    """What was taken is not what the lock pins."""

    status = Exit.BAD_INPUT

    def __init__(self, repo: str, locked: str, found: str) -> None:
        super().__init__(repo, locked, found)
        self.locked, self.found = locked, found

    @property
    def what(self) -> str:
        return f"not what cloche.lock pins: {self.locked} is locked, {self.found} is there"

    @property
    def todo(self) -> str:
        return f"accept it with `cloche repo sync {self.repo}`, or take it from elsewhere"


class BadPinError(TreeError):
    """What cloche.lock pins is none of Gentoo's snapshots."""

    status = Exit.BAD_INPUT

    def __init__(self, repo: str, file: str) -> None:
        super().__init__(repo, file)
        self.file = file

    @property
    def what(self) -> str:
        return f"cloche.lock pins “{self.file}”, which is not the name of a snapshot"

    @property
    def todo(self) -> str:
        return "restore cloche.lock from version control"


class OlderTreeError(TreeError):
    """A mirror that offers something older than what was locked before."""

    def __init__(self, repo: str, locked: str, found: str) -> None:
        super().__init__(repo, locked, found)
        self.locked, self.found = locked, found

    @property
    def what(self) -> str:
        return f"the mirror is behind: it offers {self.found}, cloche.lock has {self.locked}"

    @property
    def todo(self) -> str:
        return (
            f"use another mirror; to go back on purpose, remove [repos.{self.repo}] of cloche.lock"
        )


class ManifestError(TreeError):
    """A tree that is not what its signed Manifest (GLEP 74) says; ``words`` are gemato's."""

    status = Exit.BAD_INPUT

    def __init__(self, repo: str, words: str) -> None:
        super().__init__(repo, words)
        self.words = words

    @property
    def what(self) -> str:
        return f"the tree is not what its Manifest says: {' '.join(self.words.split())}"

    @property
    def todo(self) -> str:
        return "sync again, perhaps from another mirror; do not use it as it is"


class NoSnapshotError(TreeError):
    """A mirror without a snapshot of these days."""

    def __init__(self, repo: str, directory: str, days: int) -> None:
        super().__init__(repo, directory, days)
        self.directory, self.days = directory, days

    @property
    def what(self) -> str:
        return f"no snapshot of the last {self.days} days at {self.directory}"

    @property
    def todo(self) -> str:
        return "check sync_uri, which names a mirror's top, or the whole address of one snapshot"


class UnknownTreeError(TreeError):
    """A name that is no repository of the project."""

    status = Exit.BAD_INPUT

    def __init__(self, repo: str, known: tuple[str, ...]) -> None:
        super().__init__(repo, known)
        self.known = known

    @property
    def what(self) -> str:
        return f"no repository `{self.repo}` is declared"

    @property
    def where(self) -> str:
        return "cloche.toml"

    @property
    def todo(self) -> str:
        return f"there is: {', '.join(self.known) or 'none'}"
