"""Errors of imports: why a tarball or a directory is refused."""

from __future__ import annotations

import os
from pathlib import Path

from cloche.errors import ClocheError, Exit


class ImportRefusedError(ClocheError):
    """``source``, a file or directory (or a part of one), is refused because of ``name``.

    Nothing of it is used.
    """

    def __init__(
        self,
        source: Path | str,
        name: bytes,
        what: str,
        *,
        todo: str | None = None,
        status: Exit = Exit.BAD_INPUT,
    ) -> None:
        where = f"{source}: {os.fsdecode(name)}" if name else source
        super().__init__(what, where=where, todo=todo, status=status)


def malformed(source: Path, name: bytes, why: str, offset: int) -> ImportRefusedError:
    """Not a tarball, truncated, or corrupt: ``why``, and ``offset`` in bytes."""
    what = f"corrupt or truncated tarball: {why}, at byte {offset}"
    return ImportRefusedError(source, name, what, todo="fetch it again, and compare its digest")


def over_limit(
    source: Path | str, name: bytes, limit: str, found: int, allowed: int
) -> ImportRefusedError:
    """``found``, as far as it was read, exceeds the field ``limit`` of `Limits`."""
    return ImportRefusedError(
        source,
        name,
        f"over the limit `{limit}`: {found}, at most {allowed} are allowed",
        todo=f"raise `{limit}` if you trust its source",
    )
