"""What can go wrong with files from outside."""

# ruff: noqa: D102 - the texts of an error are documented in cloche.errors

from __future__ import annotations

from pathlib import Path

from cloche.errors import ClocheError, Exit


class FetchingError(ClocheError):
    """The base of this room's errors. ``source`` is an address without password, or a path."""

    status = Exit.FAILED

    def __init__(self, source: str, reason: str = "") -> None:
        super().__init__(source, reason)
        self.source = source
        self.reason = reason

    @property
    def what(self) -> str:
        return self.reason

    @property
    def where(self) -> str | None:
        return self.source


class AddressError(FetchingError):
    """An address that is neither http, https nor file."""

    status = Exit.BAD_INPUT

    @property
    def what(self) -> str:
        return "not an address that can be fetched"

    @property
    def todo(self) -> str:
        return "give one that begins with https://, http:// or file://"


class NotThereError(FetchingError):
    """The server answered, and has no such file."""

    @property
    def what(self) -> str:
        return "the mirror has no such file"

    @property
    def todo(self) -> str:
        return "check the mirror's address, or use another mirror"


class UnreachableError(FetchingError):
    """No answer, or one that broke off too often; ``kept`` bytes are there for the next time."""

    def __init__(self, source: str, reason: str, kept: int = 0) -> None:
        super().__init__(source, reason)
        self.kept = kept

    @property
    def todo(self) -> str:
        again = f"run it again: it goes on after {self.kept} bytes; else " if self.kept else ""
        return f"{again}check the network and the proxy settings, or use another mirror"


class WrongContentError(FetchingError):
    """A file of another size, or with another digest, than was announced."""

    @property
    def todo(self) -> str:
        return "run it again; if that does not help, use another mirror"


class SignatureError(FetchingError):
    """An OpenPGP signature that does not hold; ``detail`` are gpg's own words."""

    status = Exit.BAD_INPUT

    def __init__(self, source: str, reason: str, keyring: Path, words: str = "") -> None:
        super().__init__(source, reason)
        self.keyring = keyring
        self.words = words

    @property
    def todo(self) -> str:
        return f"do not use the file; if {self.keyring} is out of date, bring it up to date"

    @property
    def detail(self) -> str:
        return self.words


class KeyringError(FetchingError):
    """A keyring that is not there or holds no key; ``source`` is its path."""

    status = Exit.BAD_INPUT

    @property
    def todo(self) -> str:
        return (
            "give the file with the release keys as --keyring, or in cloche.toml (`keyring` of a "
            "seed, `sync_openpgp_key_path` of a repository, `openpgp_keys` of a binary package "
            "host); "
            "Gentoo's are in the package sec-keys/openpgp-keys-gentoo-release; "
            "docs/project-files.md tells of another way to get them"
        )


class NoGpgError(FetchingError):
    """There is no gpg on the host; ``source`` is what was to be checked."""

    status = Exit.HOST

    @property
    def what(self) -> str:
        return "OpenPGP signatures cannot be checked: gpg is not installed"

    @property
    def todo(self) -> str:
        return "install gnupg (app-crypt/gnupg)"
