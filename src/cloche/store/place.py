"""`Place`: the directories and the index of an open store."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from cloche.store.index import Index
from cloche.store.locks import held
from cloche.store.records import Blob, Tree


class Place:
    """The directories of a store and its index."""

    def __init__(self, path: Path, index: Index) -> None:
        self.path = path
        self.layers = path / "layers"
        self.unions = path / "unions"
        self.blobs = path / "blobs"
        self.logs = path / "logs"
        self.distfiles = path / "distfiles"
        self.downloads = path / "downloads"
        self.failed = path / "failed"
        self.freshroots = path / "freshroots"
        self.tmp = path / "tmp"
        self.about = path / "about"
        self.index = index

    def trees(self) -> list[Tree]:
        """All trees of the index, by id, whether they are in their places or not."""
        return self.index.trees(self.layers)

    def all_blobs(self) -> list[Blob]:
        """All blobs of the index, by id, whether they are in their places or not."""
        return self.index.blobs(self.blobs)

    def placing(self) -> AbstractContextManager[None]:
        """Held while something is put in place and entered, so that no sweep comes in between."""
        return held(self.path / "locks" / "placing")
