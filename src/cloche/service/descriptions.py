"""The descriptions of targets: files named by their digests. For the event loop's thread."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cloche.errors import ClocheError, Exit
from cloche.service import files
from cloche.service.database import Database
from cloche.service.settings import State
from cloche.targets.description import (
    BadDescriptionError,
    Description,
    decode_description,
    encode_description,
)

_UNREADABLE = (OSError, EOFError, zlib.error)  # a file that is missing, cut off, or changed


def stored(state: State, digest: str, where: str | None = None) -> Description:
    """A description by its digest. Raises ClocheError, with ``where`` for the operator."""
    try:
        return decode_description(gzip.decompress(state.description(digest).read_bytes()))
    except (*_UNREADABLE, BadDescriptionError) as error:
        what = "the description of the target is missing or damaged"
        todo = "run `cloche-client refresh --whole` on the target"
        raise ClocheError(what, where=where, todo=todo, status=Exit.FAILED) from error


def _is_whole(path: Path, digest: str) -> bool:
    """Whether a file has the description with a digest."""
    try:
        return hashlib.sha256(gzip.decompress(path.read_bytes())).hexdigest() == digest
    except _UNREADABLE:
        return False


class Descriptions:
    """Keeps each description as long as a target has it, a build needs it, or somebody holds it."""

    def __init__(self, state: State, database: Database) -> None:
        self._state, self._database = state, database
        self._held: Counter[str] = Counter()

    @contextmanager
    def held(self, digest: str) -> Iterator[None]:
        """Let a description not be removed during a block.

        Whoever writes one holds it until a target has it; whoever reads one, until it is read.
        """
        self._held[digest] += 1
        try:
            yield
        finally:
            self._held[digest] -= 1
            if not self._held[digest]:
                del self._held[digest]

    async def read(self, digest: str) -> Description:
        """A description by its digest. Raises ClocheError."""
        with self.held(digest):
            return await asyncio.to_thread(stored, self._state, digest)

    async def write(self, description: Description, digest: str) -> None:
        """Write a description, unless it is there, undamaged. Only while it is held."""
        path = self._state.description(digest)

        def write() -> None:
            if not _is_whole(path, digest):
                files.write(path, gzip.compress(encode_description(description), 4))

        await asyncio.to_thread(write)

    def forget(self) -> None:
        """Remove the descriptions that nothing needs."""
        kept = self._database.digests() | self._held.keys()
        for path in self._state.descriptions.glob("[!.]*"):  # the others are being written
            if path.name.partition(".")[0] not in kept:
                path.unlink(missing_ok=True)
