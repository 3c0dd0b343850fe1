"""The indexes of targets that are kept in memory, and their signatures."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from cloche.errors import ClocheError
from cloche.fetching.signing import Signer
from cloche.service.database import Database
from cloche.service.index import Index, made
from cloche.service.values import Target
from cloche.targets.levels import Level

K = TypeVar("K")
V = TypeVar("V")
_INDEXES = 16
_SIGNATURES = 1000


class Indexes:
    """Makes indexes and signatures, and keeps those that were used last."""

    def __init__(self, database: Database, signer: Signer | None) -> None:
        self._database, self._signer = database, signer
        self._indexes: dict[tuple[str, str, Level], Index] = {}
        self._signatures: dict[str, bytes] = {}  # by ETag, which is of the content

    def of(self, target: Target) -> Index:
        """The index of a target."""
        stamp, key = self._database.stamp(target.digest), (target.id, target.digest, target.level)
        found = self._indexes.get(key)
        if found is None or found.stamp != stamp:
            found = made(target.arch, target.chost, stamp, self._database.index_of(target))
        _keep(self._indexes, key, found, _INDEXES)
        return found

    async def signature(self, target: Target) -> bytes | None:
        """A detached signature of a target's index; None without a key. Raises ClocheError."""
        if self._signer is None:
            return None
        index = self.of(target)
        found = self._signatures.get(index.etag)
        if found is None:
            found = await asyncio.to_thread(_signed, self._signer, index.plain)
        _keep(self._signatures, index.etag, found, _SIGNATURES)
        return found


def _keep(kept: dict[K, V], key: K, value: V, most: int) -> None:
    """Keep a value as the one used last, and at most so many."""
    kept.pop(key, None)
    kept[key] = value
    while len(kept) > most:
        del kept[next(iter(kept))]


def _signed(signer: Signer, text: bytes) -> bytes:
    """A detached signature. Raises ClocheError."""
    with TemporaryDirectory(prefix="cloche-sign-") as room:
        file, signature = Path(room, "Packages"), Path(room, "Packages.asc")
        file.write_bytes(text)
        signer.detached(file, signature)
        return signature.read_bytes()


def public_key(sign: str | None) -> str | None:
    """The public key, armored (RFC 9580, 6). Raises ClocheError."""
    if sign is None:
        return None
    command = ("gpg", "--batch", "--armor", "--export", "--", sign)
    with contextlib.suppress(OSError):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 0 and done.stdout:
            return done.stdout
    raise ClocheError(f"gpg cannot export the key {sign}", todo="see `gpg --list-keys`")
