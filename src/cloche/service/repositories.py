"""The state of the project's repositories: what failed is tried again when it changes."""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from pathlib import Path

from cloche.config.project import Project

_FRESH = 5.0  # seconds for which a state is believed


class Repositories:
    """The state of a project's repositories, looked at when something is asked for."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._looked = time.monotonic()
        self.state = state_of(project)  # changes with repositories, pins, and what is declared

    @property
    def names(self) -> frozenset[str]:
        """The names of the repositories."""
        return frozenset(self._project.repos)

    async def look(self) -> None:
        """Look at them again, unless that was done just now."""
        if time.monotonic() - self._looked >= _FRESH:
            self._looked = time.monotonic()
            self.state = await asyncio.to_thread(state_of, self._project)


def state_of(project: Project) -> str:
    """A digest of cloche.toml, cloche.lock, and the repositories that are directories."""
    digest = hashlib.sha256()
    for file in (project.file, project.lock):
        digest.update(file.read_bytes() if file.exists() else b"-")
    for name, spec in sorted(project.repos.items()):
        if spec.path is not None:
            digest.update(f"{name} {_newest(spec.path)}\n".encode())
    return digest.hexdigest()[:16]


def _newest(path: Path) -> str:
    """What changes with a repository: its time stamp and commit, or the times of its files."""
    marks = (path / "metadata" / "timestamp.chk", path / ".git" / "HEAD", path / ".git" / "index")
    found = [str(mark.stat().st_mtime_ns) for mark in marks if mark.exists()]
    if len(found) > 1 or (found and marks[0].exists()):
        return " ".join(found)
    newest, count = 0, 0
    for top, _, names in os.walk(path):
        for name in (".", *names):
            newest = max(newest, os.stat(os.path.join(top, name)).st_mtime_ns)  # noqa: PTH116, PTH118
            count += 1
    return f"{newest} {count}"
