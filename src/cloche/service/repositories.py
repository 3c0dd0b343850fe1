"""The state of the project's repositories: what failed is tried again when it changes."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import os
import subprocess
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from cloche.config.project import Project

_log = logging.getLogger("cloche.service")
_FRESH = 5.0  # seconds for which a state is believed, at least
_SHARE = 20  # looking takes at most this part of the time
_GIT = ("git", "--no-optional-locks", "-c", "safe.directory=*", "-c", "core.fsmonitor=false", "-C")


class Repositories:
    """The state of a project's repositories, looked at when something is asked for.

    ``changed`` is called after it has become another one.
    """

    def __init__(self, project: Project, changed: Callable[[], None] = lambda: None) -> None:
        self._project, self._changed = project, changed
        self._next = 0.0
        self.state = state_of(project)  # changes with repositories, pins, and what is declared

    @property
    def names(self) -> frozenset[str]:
        """The names of the repositories."""
        return frozenset(self._project.repos)

    async def look(self) -> None:
        """Look at them again, unless that was done just now."""
        began = time.monotonic()
        if began < self._next:
            return
        self._next = began + _FRESH
        try:
            state = await asyncio.to_thread(state_of, self._project)
        except OSError:  # they are as they were, as far as is known
            _log.exception("repositories")
            return
        now = time.monotonic()
        self._next = now + max(_FRESH, _SHARE * (now - began))
        if state != self.state:
            self.state = state
            self._changed()


def state_of(project: Project) -> str:
    """A digest of cloche.toml, cloche.lock, and the repositories that are directories.

    Raises OSError.
    """
    digest = hashlib.sha256()
    for file in (project.file, project.lock):
        digest.update(file.read_bytes() if file.exists() else b"-")
    for name, spec in sorted(project.repos.items()):
        if spec.path is not None:
            digest.update(f"{name} {_state(spec.path)}\n".encode())
    return digest.hexdigest()[:16]


def _state(path: Path) -> str:
    """What changes with a repository: its time stamp, its commit and edits, or all its files."""
    with contextlib.suppress(OSError):
        return f"synced {(path / 'metadata' / 'timestamp.chk').stat().st_mtime_ns}"
    found = None
    if (path / ".git").exists():
        found = _git_state(path)
    every = (f"{top}/{name}" for top, _, names in os.walk(path) for name in (".", *names))
    return found or _times(every)


def _git_state(path: Path) -> str | None:
    """The commit of a working tree, and the times of what differs from it; None: git fails."""
    status = ("status", "--porcelain=v1", "-z", "--untracked-files=all", "--no-renames")
    try:
        commit = _git(path, "rev-parse", "HEAD").decode().strip()
        differing = [entry[3:] for entry in _git(path, *status).split(b"\0") if entry]
    except (OSError, subprocess.CalledProcessError):
        return None
    edits = _times(f"{path}/{os.fsdecode(name)}" for name in differing)
    return f"{commit} {edits}"


def _git(path: Path, *words: str) -> bytes:
    return subprocess.run(
        (*_GIT, str(path), *words), check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ).stdout


def _times(paths: Iterable[str]) -> str:
    """A digest of the names and times of files; of what a symlink leads to, if that is there."""
    digest = hashlib.sha256()
    for path in sorted(paths):
        digest.update(f"{os.fsencode(path).hex()} {_time(path)}\n".encode())
    return digest.hexdigest()


def _time(path: str) -> int:
    for status in (os.stat, os.lstat):
        with contextlib.suppress(OSError):  # a symlink that leads nowhere; a file that went
            return status(path).st_mtime_ns
    return 0
