"""Starts a program from a sandbox's first process with posix_spawn(3).

It shares memory until the exec, as copying the page tables of a Python takes longer than the exec.
Attributes that posix_spawn cannot set, the first process sets for itself and passes on.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import termios
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from cloche.linux import paths
from cloche.sandbox import programs
from cloche.sandbox.base import Command
from cloche.sandbox.errors import ProgramError


def spawn(
    path: str,
    argv: tuple[str, ...],
    env: Mapping[str, str],
    fds: Mapping[int, int],
    *,
    terminal: str | None = None,
) -> int:
    """Start a program in a session of its own, with nothing but ``fds`` (number there: number
    here) open. ``terminal`` becomes its controlling terminal. Returns the pid after the exec.
    """
    free = max(fds) + 1
    # High numbers first, so that they do not clash; the exec closes these copies.
    moved = [(fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, free), number) for number, fd in fds.items()]
    actions: list[tuple[int, int, int] | tuple[int, int, str, int, int]]
    actions = [(os.POSIX_SPAWN_DUP2, fd, number) for fd, number in moved]
    if terminal is not None:  # a session leader's first open terminal is its controlling one
        actions.append((os.POSIX_SPAWN_OPEN, 0, terminal, os.O_RDWR, 0))
    try:
        return os.posix_spawn(
            path, argv, dict(env), file_actions=actions, setsid=True, setsigmask=()
        )
    finally:
        for fd, _ in moved:
            os.close(fd)


def spawn_command(
    command: Command, streams: Sequence[int], numbers: Sequence[int], *, terminal: str | None = None
) -> int:
    """Start the command in a process whose root is the sandbox's."""
    fds = dict(zip((0, 1, 2, *numbers), streams, strict=True))
    enter(command)
    with started(f"executing {command.argv[0]}"):
        return spawn(find(command), command.argv, command.env, fds, terminal=terminal)


def enter(command: Command) -> None:
    """Change to the command's directory."""
    with started(f"entering the directory {command.cwd}"):
        here = paths.open_plain(command.cwd, os.O_PATH | os.O_DIRECTORY)
        os.fchdir(here)
        os.close(here)


def find(command: Command) -> str:
    """Find a program as execvp(3) does, in the PATH of its own environment."""
    path = _found(command)
    programs.check(path)
    return path


def _found(command: Command) -> str:
    name = command.argv[0]
    if "/" in name:
        return name
    for directory in os.get_exec_path(command.env):
        if os.access(path := f"{directory or '.'}/{name}", os.X_OK):
            return path
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))


def check(command: Command) -> None:
    """Raise what `spawn_command` would raise, for a command that a tool starts."""
    enter(command)
    with started(f"executing {command.argv[0]}"):
        path = Path(find(command))
        if path.is_dir() or (path.exists() and not os.access(path, os.X_OK)):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        path.stat()


def open_terminal(like: int) -> tuple[int, int]:
    """Open a terminal with the size of the caller's, as programs may ask only once."""
    master, slave = os.openpty()
    take_size(slave, like)
    return master, slave


def take_size(terminal: int, like: int) -> None:
    """Give a terminal the size of the caller's, if that is a terminal."""
    with contextlib.suppress(termios.error):
        termios.tcsetwinsize(terminal, termios.tcgetwinsize(like))


@contextlib.contextmanager
def started(doing: str) -> Iterator[None]:
    """Turn an OSError into a ProgramError that says what was being done."""
    try:
        yield
    except OSError as error:
        raise ProgramError(doing, str(error.strerror), error.errno or 0) from error
