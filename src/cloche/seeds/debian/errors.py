"""What can go wrong with Debian seeds in particular.

The classes are not frozen: contextlib sets ``__traceback__`` on what passes through it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cloche.errors import Exit, says_full
from cloche.seeds.errors import SeedError


@dataclass(eq=False)
class MissingToolError(SeedError):
    """A program of the host that a seed cannot be made without."""

    tool: str
    package: str
    status = Exit.HOST

    @property
    def what(self) -> str:
        """Name the program."""
        return f"this host has no {self.tool}"

    @property
    def todo(self) -> str:
        """Name the package that brings it."""
        return f"apt install {self.package}"


@dataclass(eq=False)
class UnknownArchError(SeedError):
    """A machine architecture for which no Debian port and CHOST are known here."""

    machine: str
    known: tuple[str, ...]
    status = Exit.HOST

    @property
    def what(self) -> str:
        """Name the architecture."""
        return f"no Debian seed is known for the architecture {self.machine!r}"

    @property
    def todo(self) -> str:
        """List those that are known."""
        return f"use one of {', '.join(self.known)}"


@dataclass(eq=False)
class NoMirrorError(SeedError):
    """The host's apt configuration names no mirror that serves the suite."""

    suite: str
    looked_in: Path
    status = Exit.HOST

    @property
    def what(self) -> str:
        """Name the suite."""
        return f"no Debian mirror found for the suite {self.suite}"

    @property
    def where(self) -> str:
        """The directory of apt's configuration."""
        return str(self.looked_in)

    @property
    def todo(self) -> str:
        """Offer the option."""
        return "give one with --mirror"


@dataclass(eq=False)
class NoKeyringError(SeedError):
    """No key to verify the mirror's signature with."""

    wanted: Path | None
    status = Exit.HOST

    @property
    def what(self) -> str:
        """Say which keyring is missing."""
        if self.wanted is None:
            return "Debian's archive keyring is not on this host"
        return f"the keyring {self.wanted} cannot be read"

    @property
    def todo(self) -> str:
        """Name the package and the option."""
        return "apt install debian-archive-keyring, or give one with --keyring"


@dataclass(eq=False)
class BadSourceError(SeedError):
    """A line of apt's configuration that cannot be read."""

    file: Path
    line: int
    reason: str

    @property
    def what(self) -> str:
        """Say what is odd about the line."""
        return f"not an apt source: {self.reason}"

    @property
    def where(self) -> str:
        """File and line."""
        return f"{self.file}:{self.line}"

    @property
    def todo(self) -> str:
        """Offer both ways out."""
        return "correct the line, or give a mirror with --mirror"


@dataclass(eq=False)
class MirrorUnreachableError(SeedError):
    """The mirror does not answer, or not with what apt asked for."""

    mirror: str
    lines: tuple[str, ...]
    status = Exit.FAILED

    @property
    def what(self) -> str:
        """Name the mirror."""
        return f"the Debian mirror {self.mirror} cannot be used"

    @property
    def todo(self) -> str:
        """Say what to look at."""
        return "check the network and apt's proxy settings, or give another with --mirror"

    @property
    def detail(self) -> str:
        """Quote apt's own words."""
        return "\n".join(self.lines)


@dataclass(eq=False)
class BadSignatureError(SeedError):
    """The mirror's index is not signed by a key of the keyring."""

    mirror: str
    keyring: Path
    lines: tuple[str, ...]

    @property
    def what(self) -> str:
        """Name mirror and keyring."""
        return f"the index of {self.mirror} is not signed by a key of {self.keyring}"

    @property
    def todo(self) -> str:
        """Name the usual cause."""
        return "update debian-archive-keyring, or give the right keyring with --keyring"

    @property
    def detail(self) -> str:
        """Quote apt's own words."""
        return "\n".join(self.lines)


@dataclass(eq=False)
class StepFailedError(SeedError):
    """mmdebstrap, or the preparation inside the new tree, ended with an error."""

    step: str
    exit_status: int
    log: Path
    lines: tuple[str, ...]
    status = Exit.FAILED

    def __post_init__(self) -> None:
        """No room is the host's fault."""
        if says_full(self.detail):
            self.status = Exit.HOST

    @property
    def what(self) -> str:
        """Name the step and how it ended."""
        return f"{self.step} ended with status {self.exit_status}"

    @property
    def todo(self) -> str:
        """Name the log."""
        room = "free some room, or use another --store; " if self.status is Exit.HOST else ""
        return f"{room}read {self.log}"

    @property
    def detail(self) -> str:
        """Quote the end of the log."""
        return "\n".join(self.lines)


@dataclass(eq=False)
class TreeNotEmptyError(SeedError):
    """The directory for the new tree holds something already."""

    path: Path

    @property
    def what(self) -> str:
        """Say so."""
        return "the directory for the new seed is not empty"

    @property
    def where(self) -> str:
        """Name the directory."""
        return str(self.path)

    @property
    def todo(self) -> str:
        """Say what would do."""
        return "give a directory that is empty or does not exist"


@dataclass(eq=False)
class BadPackageListError(SeedError):
    """The seed's dpkg status and the mirror's index do not fit together."""

    reason: str
    status = Exit.FAILED

    @property
    def what(self) -> str:
        """Say what does not fit."""
        return f"the seed's package list cannot be pinned: {self.reason}"


@dataclass(eq=False)
class UnpinnedPortageError(SeedError):
    """A Portage version whose digest nobody gave."""

    version: str

    @property
    def what(self) -> str:
        """Name the version."""
        return f"no SHA-256 is known for Portage {self.version}"

    @property
    def todo(self) -> str:
        """Say where it belongs."""
        return "give version and sha256 together"


@dataclass(eq=False)
class SdistNotFoundError(SeedError):
    """Nothing that pip is configured for offers the file."""

    file: str
    tried: tuple[str, ...]
    status = Exit.FAILED

    @property
    def what(self) -> str:
        """Name the file."""
        return f"{self.file} was not found"

    @property
    def todo(self) -> str:
        """Name what decides where it is looked for."""
        return "check the network and pip's settings (index-url, find-links, cert)"

    @property
    def detail(self) -> str:
        """List every place with its answer."""
        return "\n".join(self.tried)


@dataclass(eq=False)
class WrongDigestError(SeedError):
    """A file that is not the pinned one."""

    file: str
    source: str
    expected: str
    actual: str

    @property
    def what(self) -> str:
        """Give both digests."""
        return f"{self.file} has SHA-256 {self.actual}, pinned is {self.expected}"

    @property
    def where(self) -> str:
        """Say where the file came from."""
        return self.source

    @property
    def todo(self) -> str:
        """Warn."""
        return "do not use this file: it is not the release that was pinned"
