"""Errors of fetching: ``source`` is an address (without its password) or a path."""

from __future__ import annotations

from pathlib import Path

from cloche.errors import ClocheError, Exit


class FetchingError(ClocheError):
    """A file cannot be fetched, or is not the expected one."""

    status = Exit.FAILED


class NotThereError(FetchingError):
    """The server has no such file."""

    def __init__(self, source: str) -> None:
        todo = "check the mirror's address, or use another mirror"
        super().__init__("the mirror has no such file", where=source, todo=todo)


class WrongContentError(FetchingError):
    """A file has another size or digest than expected."""

    def __init__(self, source: str, reason: str) -> None:
        todo = "run it again; if that does not help, use another mirror"
        super().__init__(reason, where=source, todo=todo)


class SignatureError(FetchingError):
    """A bad or missing OpenPGP signature; ``words`` are gpg's own."""

    status = Exit.BAD_INPUT

    def __init__(self, source: str, reason: str, keyring: Path, words: str = "") -> None:
        todo = f"do not use the file; if {keyring} is out of date, update it"
        super().__init__(reason, where=source, todo=todo, detail=words)


def unreachable(source: str, reason: str, kept: int = 0) -> FetchingError:
    """No answer, or too many interruptions; ``kept`` bytes are there for the next time."""
    again = f"run it again to resume after {kept} bytes, or " if kept else ""
    todo = f"{again}check the network and the proxy settings, or use another mirror"
    return FetchingError(reason, where=source, todo=todo)


def bad_address(source: str) -> FetchingError:
    """An address that is neither http, https nor file."""
    return FetchingError(
        "not an address that can be fetched",
        where=source,
        todo="give one that begins with https://, http:// or file://",
        status=Exit.BAD_INPUT,
    )


def bad_keyring(path: Path, reason: str) -> FetchingError:
    """A keyring does not exist, or holds no key."""
    return FetchingError(
        reason,
        where=path,
        todo="name a file of release keys with --keyring, or sync_openpgp_key_path of a repository "
        "(docs/project-files.md says how to get it)",
        status=Exit.BAD_INPUT,
    )


def no_gpg(source: str) -> FetchingError:
    """The host has no gpg to check ``source``."""
    return FetchingError(
        "OpenPGP signatures cannot be checked: gpg is not installed",
        where=source,
        todo="install gnupg (app-crypt/gnupg)",
        status=Exit.HOST,
    )
