"""What can go wrong with stage3s in particular."""

from __future__ import annotations

from pathlib import Path

from cloche.errors import Exit
from cloche.seeds.errors import SeedError


class FlavourUnknownError(SeedError):
    """A stage3 that the mirror does not make; ``known`` are the names that it does, if any."""

    def __init__(self, seed: str, name: str, known: tuple[str, ...], close: str | None) -> None:
        super().__init__(seed, name, known, close)
        self.seed, self.name, self.known, self.close = seed, name, known, close

    @property
    def what(self) -> str:
        """Name it."""
        return f"the mirror has no stage3-{self.name}"

    @property
    def where(self) -> str:
        """The declaration."""
        return f"[seeds.{self.seed}]"

    @property
    def todo(self) -> str:
        """The nearest name, and all of them."""
        close = f"did you mean {self.close}? " if self.close else ""
        return f"{close}there is: {', '.join(self.known)}"


class NoLongerThereError(SeedError):
    """The locked stage3 is not on the mirror any more."""

    status = Exit.FAILED

    def __init__(self, seed: str, file: str, address: str) -> None:
        super().__init__(seed, file, address)
        self.seed, self.file, self.address = seed, file, address

    @property
    def what(self) -> str:
        """Name the file."""
        return f"the mirror no longer has {self.file}, which cloche.lock pins"

    @property
    def where(self) -> str:
        """Where it was looked for."""
        return self.address

    @property
    def todo(self) -> str:
        """The ways out."""
        return (
            f"use a mirror or a `file` that has it, or take the newest with "
            f"`cloche seed bootstrap {self.seed} --update`"
        )


class NoAutobuildsError(SeedError):
    """A mirror that has no stages of an architecture."""

    status = Exit.FAILED

    def __init__(self, seed: str, arch: str, address: str) -> None:
        super().__init__(seed, arch, address)
        self.seed, self.arch, self.address = seed, arch, address

    @property
    def what(self) -> str:
        """The architecture."""
        return f"the mirror has no stage3 of {self.arch}"

    @property
    def where(self) -> str:
        """Where it was looked for."""
        return self.address

    @property
    def todo(self) -> str:
        """Check both."""
        return "check `arch`, which is Gentoo's word, and the mirror's address"


class OlderStageError(SeedError):
    """A mirror that offers something older than what was locked before."""

    status = Exit.FAILED

    def __init__(self, seed: str, file: str, locked: str) -> None:
        super().__init__(seed, file, locked)
        self.seed, self.file, self.locked = seed, file, locked

    @property
    def what(self) -> str:
        """Both of them."""
        return f"the mirror is behind: it offers {self.file}, cloche.lock has {self.locked}"

    @property
    def where(self) -> str:
        """The declaration."""
        return f"[seeds.{self.seed}]"

    @property
    def todo(self) -> str:
        """Go elsewhere, or back."""
        return (
            f"use another mirror; to go back on purpose, remove [seeds.{self.seed}] of cloche.lock"
        )


class PointerMovedError(SeedError):
    """The mirror's pointer changed while its stage3 was fetched, and the new one failed as well."""

    status = Exit.FAILED

    def __init__(self, seed: str, before: str, now: str) -> None:
        super().__init__(seed, before, now)
        self.seed, self.before, self.now = seed, before, now

    @property
    def what(self) -> str:
        """Both files."""
        return f"the mirror went from {self.before} to {self.now} meanwhile, and has neither whole"

    @property
    def where(self) -> str:
        """The declaration."""
        return f"[seeds.{self.seed}]"

    @property
    def todo(self) -> str:
        """Wait, or go elsewhere."""
        return "try again later, or use another mirror"


class UnsignedFileError(SeedError):
    """A local stage3 without a signature beside it."""

    def __init__(self, seed: str, file: Path) -> None:
        super().__init__(seed, file)
        self.seed, self.file = seed, file

    @property
    def what(self) -> str:
        """What is missing."""
        return f"there is no {self.file.name}.asc beside it"

    @property
    def where(self) -> str:
        """The tarball."""
        return str(self.file)

    @property
    def todo(self) -> str:
        """The ways out."""
        return 'put it there, or declare the file as `type = "tarball"`, which is taken as it is'
