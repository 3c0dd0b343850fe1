"""A small repository that is published in all ways, and a project that takes it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path

from tests.mirrors import Signer

from cloche.config.project import load_project
from cloche.store import Store
from cloche.trees.methods import SyncContext
from cloche.trees.stored import Taken, find_tree, sync


def write_repository(top: Path, name: str = "overlay") -> Path:
    """A repository with a profile and an ebuild."""
    files = {
        "profiles/repo_name": f"{name}\n",
        "profiles/default/make.defaults": 'ARCH="amd64"\n',
        "profiles/profiles.desc": "amd64 default stable\n",
        "metadata/layout.conf": "masters =\nthin-manifests = true\n",
        "app-misc/one/one-1.ebuild": 'EAPI=8\nSLOT="0"\n',
    }
    for path, text in files.items():
        (top / path).parent.mkdir(parents=True, exist_ok=True)
        (top / path).write_text(text)
    return top


@dataclass
class Ground:
    """A project with one repository, its store, and the key that it is signed by."""

    directory: Path
    store: Store
    key: Signer
    said: list[str] = field(default_factory=list)

    @property
    def keys(self) -> Path:
        return self.directory / "keys.asc"

    @property
    def published(self) -> Path:
        """The repository as its makers have it."""
        return self.directory / "published"

    @property
    def lock(self) -> Path:
        return self.directory / "project/cloche.lock"

    def declare(self, **words: str | bool) -> None:
        """Write cloche.toml."""
        values = {k: f'"{v}"' if isinstance(v, str) else str(v).lower() for k, v in words.items()}
        lines = [f"{key} = {value}\n" for key, value in values.items()]
        (self.directory / "project/cloche.toml").write_text("[repos.overlay]\n" + "".join(lines))

    def sync(self, *, update: bool = True, mirror: str | None = None) -> tuple[Taken, bool]:
        project = load_project(self.directory / "project")
        context = SyncContext(self.store.path / "downloads", mirror, report=self.said.append)
        return sync(self.store, project, project.repos["overlay"], context, update=update)

    def found(self) -> Taken | None:
        project = load_project(self.directory / "project")
        return find_tree(self.store, project, project.repos["overlay"])

    def forget(self, taken: Taken) -> None:
        """Let the store lose a tree, and what git knows of it."""
        assert self.store.unpin(taken.name)
        shutil.rmtree(self.store.path / "downloads")
