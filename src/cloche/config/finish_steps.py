"""``[[finish]]`` of a machine's file: what is done to its root after the last package, in order.

Each table is one step, named by its key. `cloche.config.system` makes steps, too. What a step does
is in `cloche.building.finish_steps`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from cloche.config.atoms import atom_fault
from cloche.config.errors import ConfigError, Origin
from cloche.config.files import project_directory, read_bytes
from cloche.config.table import Table

KINDS = (
    "files", "owners", "hook", "remove", "empty", "unmerge", "groups", "users", "services_on",
    "services_off",
)  # fmt: skip
OF_HOOKS = ("environment", "inputs")

#: Of a user or a group (useradd(8), groupadd(8)).
NAME = r"[A-Za-z_][A-Za-z0-9_.-]{0,30}\$?"
_AT_TOP = (
    "bin", "boot", "dev", "efi", "etc", "home", "lib", "lib32", "lib64", "libx32", "media", "mnt",
    "opt", "proc", "root", "run", "sbin", "srv", "sys", "tmp", "usr", "var",
)  # fmt: skip
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class FinishStep:
    """One step: the ``words`` of a list, the ``path`` of a directory, or the ``script`` of a hook.

    ``environment`` are a hook's variables, ``inputs`` a directory that it sees. ``strict``: a
    package to unmerge that is not there is an error.
    """

    kind: str
    origin: Origin
    words: tuple[str, ...] = ()
    path: Path | None = None
    script: bytes = b""
    environment: Mapping[str, str] = field(default_factory=dict)
    inputs: Path | None = None
    strict: bool = False

    @property
    def directory(self) -> Path | None:
        """The directory of the project whose content is part of the step."""
        return self.path if self.kind == "files" else self.inputs


def read_steps(table: Table, root: Path) -> tuple[FinishStep, ...]:
    """The steps of a machine's file, in its order. Raises `ConfigError`."""
    return tuple(_step(each, root) for each in table.list_of_tables("finish"))


def _step(table: Table, root: Path) -> FinishStep:
    table.only((*KINDS, *OF_HOOKS))
    kinds = [key for key in table.data if key in KINDS]
    if len(kinds) != 1:
        what = f"{' and '.join(f'“{k}”' for k in kinds)} in one step" if kinds else "an empty step"
        todo = f"give each [[finish]] one of {', '.join(KINDS)}"
        raise ConfigError(table.origin(), what, todo)
    (kind,) = kinds
    for key in OF_HOOKS:
        if kind != "hook" and key in table.data:
            raise ConfigError(table.origin(key), f"only a hook has “{key}”")
    if kind in ("hook", "files"):
        step = step_of(kind, (table.get(kind, str, ""), table.origin(kind)), root)
        if kind == "files":
            return step
        inputs = None
        if "inputs" in table.data:
            inputs = project_directory(table.get("inputs", str, ""), table.origin("inputs"), root)
        return replace(step, environment=_environment(table), inputs=inputs)
    words = tuple(_word(kind, *item) for item in table.strings(kind))
    return FinishStep(kind, table.origin(), words)


def step_of(kind: str, item: tuple[str, Origin], root: Path) -> FinishStep:
    """The step of one word: a hook's script, a directory of files, else what the kind takes.

    Raises `ConfigError`.
    """
    text, origin = item
    if kind == "hook":
        path = root / text
        if not os.path.lexists(path):
            raise ConfigError(origin, f"no such file: {text}", "correct the path, or write it")
        return FinishStep(kind, origin, path=path, script=read_bytes(path, root))
    if kind == "files":
        return FinishStep(kind, origin, path=project_directory(text, origin, root))
    return FinishStep(kind, origin, (_word(kind, text, origin),))


def check_atom_or_path(text: str, origin: Origin) -> None:
    """Refuse a path without its first slash in a list of packages and paths. Raises `ConfigError`.

    No category has the name of a directory at the top of a root (hier(7)), which an atom may have.
    """
    top, slash, _ = text.removeprefix("./").partition("/")
    if not text.startswith("/") and slash and (top in _AT_TOP or text.startswith(".")):
        path = f"/{text.removeprefix('./').lstrip('/')}"
        what = f"“{text}” is neither an absolute path nor the name of a package"
        raise ConfigError(origin, what, f'write "{path}"')


def check_once(path: str, origin: Origin, before: dict[str, str]) -> None:
    """Refuse a path that was named ``before``, perhaps spelled in another way."""
    plain = str(PurePosixPath(path)) + "/" * path.endswith("/")
    other = before.setdefault(plain, path)
    if other != path:
        what = f"“{path}” and “{other}” are the same path"
        raise ConfigError(origin, what, "remove one of the two")


def _environment(table: Table) -> Mapping[str, str]:
    given = table.table("environment")
    for name in given.data:
        if not _VARIABLE.fullmatch(name):
            raise ConfigError(given.origin(name), f"“{name}” is not the name of a variable")
    return {name: given.get(name, str, "") for name in given.data}


def _word(kind: str, word: str, origin: Origin) -> str:
    """A word of a list. Raises `ConfigError`."""
    example = _wrong(kind, word)
    if example is not None:
        raise ConfigError(origin, f"“{word}” is not valid in “{kind}”", f"write {example}")
    return word


def _wrong(kind: str, word: str) -> str | None:
    """An example of a right word if this one is wrong."""
    if kind in ("remove", "empty"):
        parts = PurePosixPath(word).parts  # none is "."
        right = word.startswith("/") and ".." not in parts and len(parts) > 1
        return None if right else 'an absolute path, as "/usr/share/doc/*"'
    if kind == "owners":
        right = re.fullmatch(rf"{NAME}:{NAME} /.+", word) is not None
        return None if right else '"USER:GROUP PATH", as "portage:portage /var/db/repos"'
    if kind == "unmerge":
        return None if atom_fault(word) is None else 'an atom, as "app-editors/nano"'
    if kind == "groups":
        return None if re.fullmatch(NAME, word) else 'a name, as "wheel"'
    if kind == "users":
        right = re.fullmatch(rf"{NAME}(={NAME}(,{NAME})*)?", word) is not None
        return None if right else '"NAME" or "NAME=GROUP,GROUP"'
    right = re.fullmatch(r"[A-Za-z0-9_@:.-]+(\|[A-Za-z0-9_-]+)?", word) is not None
    return None if right and word[0] != "-" else '"SERVICE|RUNLEVEL", or "UNIT" of systemd'
