"""What can go wrong with a store."""

from __future__ import annotations

from pathlib import Path

from cloche.errors import ClocheError, Exit


class StoreError(ClocheError):
    """A store, or something in it, cannot be used."""


class DamagedIndexError(StoreError):
    """The index is lost, damaged, or another store's; ``why`` says how that shows."""

    status = Exit.HOST

    def __init__(self, index: Path, why: str) -> None:
        super().__init__(
            f"the store's index cannot be used: {why}",
            where=index,
            todo="nothing was removed; `cloche store recover` rebuilds it from the store",
        )


class StoreBusyError(StoreError):
    """Another process holds the store; ``exclusive`` tells which kind of hold was asked for.

    ``holders`` are the processes that hold it, as far as they are known.
    """

    status = Exit.HOST

    def __init__(self, path: Path, *, exclusive: bool, holders: tuple[str, ...] = ()) -> None:
        who = f" ({'; '.join(holders)})" if holders else ""
        shared = "other cloche processes are using the store"
        alone = "another cloche process has exclusive access to the store"
        what = f"{shared if exclusive else alone}{who}"
        super().__init__(what, where=path, todo="try again when they are done")


class UnreadableTreeError(StoreError):
    """A tree that is too deep, or that changes while it is read."""

    status = Exit.FAILED


def too_new(path: Path, found: int, known: int) -> StoreError:
    """The store was written by a newer cloche; ``found`` and ``known`` are format numbers."""
    return StoreError(
        f"the store has format {found}, this cloche knows up to {known}",
        where=path,
        todo="use a newer cloche, or another store directory",
    )


def not_a_store(path: Path, found: str) -> StoreError:
    """The directory holds something else; ``found`` is one name that no store has."""
    return StoreError(
        f"this is not a store of cloche (it holds “{found}”)",
        where=path,
        todo="name an empty or a new directory",
    )


def foreign_store(path: Path, owner: str) -> StoreError:
    """The store, or the place for it, belongs to another user."""
    return StoreError(
        f"the store or its parent directory belongs to {owner}; only one user can use a store",
        where=path,
        todo=f"run cloche as {owner}, or name a store of your own with --store or "
        "$CLOCHE_STORE; `store adopt` (as root) gives a store to a user",
        status=Exit.HOST,
    )


def unknown_object(path: Path, noun: str, id: str) -> StoreError:
    """The store does not hold a layer or a blob, or its directory or file is gone."""
    return StoreError(
        f"the store holds no {noun} {id}",
        where=path,
        todo="build it again; `cloche store verify` shows whether more is missing",
        status=Exit.FAILED,
    )
