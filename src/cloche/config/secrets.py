"""Secrets of a machine: hashes of passwords, and files such as private keys.

Only where they come from is known here. They are read when a tarball is packed and goes to its user
(`cloche.output.secrets`), and are in no layer, lock, log or key.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from cloche.config.errors import ConfigError, Origin
from cloche.config.finish_steps import NAME, FinishStep, check_once
from cloche.config.table import Table

ROOTS = "root:root"  # the owner by default, whom each root has
_OWNER = re.compile(rf"{NAME}:{NAME}")
_MODE = re.compile(r"0?[0-7]{3}")
_EXAMPLE = '{ file = "~/keys/web" } or { command = ["pass", "show", "web"] }'


@dataclass(frozen=True, slots=True)
class Secret:
    """The hash of a ``user``'s password (crypt(5)), or the file at ``path`` of the root.

    Or else a ``key``, which says what for and does not get into the root. It is what a ``file`` of
    the host holds, or what a ``command`` (its words) writes. ``owner`` is USER:GROUP of the root.
    """

    origin: Origin
    user: str = ""
    path: str = ""
    file: Path | None = None
    command: tuple[str, ...] = ()
    owner: str = ROOTS
    mode: int = 0o600
    key: str = ""

    @property
    def title(self) -> str:
        """What it is, for people."""
        return f"password of {self.user}" if self.user else self.path or self.key

    @property
    def source(self) -> str:
        """Where it comes from, for people; the words of a program may be secrets themselves."""
        if self.file is not None:
            return str(self.file)
        return f"`{self.command[0]}{' …' if len(self.command) > 1 else ''}`"


def read_secrets(table: Table, root: Path) -> tuple[Secret, ...]:
    """``[secrets."PATH"]`` and ``password`` of ``[users.NAME]``. Raises `ConfigError`."""
    return (*_passwords(table, root), *_files(table, root))


def owned(secrets: Iterable[Secret]) -> tuple[FinishStep, ...]:
    """What a root has to have so that secrets get their owners, as steps that are never done."""
    return tuple(
        FinishStep("owners", each.origin, (f"{each.owner} {each.path}",))
        for each in secrets
        if each.path and each.owner != ROOTS
    )


def _passwords(table: Table, root: Path) -> Iterator[Secret]:
    for name, user in table.tables("users").items():
        if "password" not in user.data:
            continue
        if isinstance(user.data["password"], str):
            what = "“password” is a string, which everybody could read here"
            raise ConfigError(user.origin("password"), what, f"write {_EXAMPLE}")
        given = user.table("password")
        given.only(("file", "command"))
        file, command = source_of(given, root)
        yield Secret(user.origin("password"), user=name, file=file, command=command)


def _files(table: Table, root: Path) -> Iterator[Secret]:
    before: dict[str, str] = {}
    for path, given in table.tables("secrets").items():
        given.only(("file", "command", "owner", "mode"))
        parts = PurePosixPath(path).parts
        if not path.startswith("/") or ".." in parts or len(parts) < 2 or path.endswith("/"):
            raise ConfigError(given.origin(), f"“{path}” is not the path of a file of the root")
        check_once(path, given.origin(), before)
        owner, mode = given.get("owner", str, ROOTS), given.get("mode", str, "0600")
        if not _OWNER.fullmatch(owner):
            what = f"“{owner}” is not an owner"
            raise ConfigError(given.origin("owner"), what, 'write "USER:GROUP"')
        if not _MODE.fullmatch(mode):
            raise ConfigError(given.origin("mode"), f"“{mode}” is not a mode", 'write "0640"')
        file, command = source_of(given, root)
        name = "/".join(("", *parts[1:]))
        yield Secret(given.origin(), "", name, file, command, owner, int(mode, 8))


def source_of(table: Table, root: Path) -> tuple[Path | None, tuple[str, ...]]:
    """The file or the command of a secret; exactly one is given. Raises `ConfigError`."""
    file = table.optional("file", str)
    command = tuple(word for word, _ in table.strings("command"))
    if (file is None) == (not command):
        raise ConfigError(table.origin(), "a secret has one source", f"write {_EXAMPLE}")
    if file is None:
        return None, command
    try:
        return root / Path(file).expanduser(), ()
    except RuntimeError as error:  # ~ of a user who is not there
        raise ConfigError(table.origin("file"), f"“{file}”: {error}") from error
