"""Indexes are made again when they change, and few are kept."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
from tests.service.test_service_database import TARGET

from cloche.fetching.signing import Signer
from cloche.service import indexes
from cloche.service.database import Database
from cloche.service.indexes import Indexes


class Counting:
    """Signs by counting."""

    def __init__(self) -> None:
        self.signed = 0

    def detached(self, file: Path, signature: Path) -> None:
        """Write another signature each time."""
        self.signed += 1
        signature.write_bytes(b"%d %d" % (self.signed, file.stat().st_size))


def test_signatures_of_removed_targets_are_not_kept_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexes, "_SIGNATURES", 5)
    database, signer = Database(tmp_path / "database"), Counting()
    kept = Indexes(database, cast(Signer, signer))
    with database.transaction():
        for number in range(20):
            made = replace(TARGET, id=f"{number}", digest=f"{number:064}", chost=f"c{number}")
            database.add_target(made)
    targets = {each.id: each for each in database.targets()}

    async def signature(number: int) -> bytes | None:
        return await kept.signature(targets[f"{number}"])

    async def run() -> None:
        first = await signature(0)
        assert await signature(0) == first
        assert signer.signed == 1
        for number in range(1, 20):
            await signature(number)
            assert await signature(0) == first, "used again and again, it is kept"
        assert signer.signed == 20
        assert len(kept._signatures) == 5
        assert len(kept._indexes) == 16
        await signature(1)
        assert signer.signed == 21
        assert await Indexes(database, None).signature(targets["0"]) is None

    asyncio.run(run())
    database.close()
