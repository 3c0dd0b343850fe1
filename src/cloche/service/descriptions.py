"""The descriptions of targets: files named by their digests. For the event loop's thread."""

from __future__ import annotations

import asyncio
import gzip
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from cloche.errors import ClocheError, Exit
from cloche.service import files
from cloche.service.database import Database
from cloche.service.settings import State
from cloche.targets.description import Description, decode_description, encode_description


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
        path = self._state.description(digest)

        def read() -> Description:
            try:
                return decode_description(gzip.decompress(path.read_bytes()))
            except (OSError, EOFError) as error:
                what = "the description of the target is missing or damaged"
                todo = "let the target send it again"
                raise ClocheError(what, todo=todo, status=Exit.FAILED) from error

        with self.held(digest):
            return await asyncio.to_thread(read)

    async def write(self, description: Description, digest: str) -> None:
        """Write a description, unless it is there. Only while it is held."""
        path = self._state.description(digest)
        if not path.exists():
            await asyncio.to_thread(
                lambda: files.write(path, gzip.compress(encode_description(description), 4))
            )

    def forget(self) -> None:
        """Remove the descriptions that nothing needs."""
        kept = self._database.digests() | self._held.keys()
        for path in self._state.descriptions.glob("[!.]*"):  # the others are being written
            if path.name.partition(".")[0] not in kept:
                path.unlink(missing_ok=True)
