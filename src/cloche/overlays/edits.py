"""Local edits of a repository: what differs from its lock, and whether it can be kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cloche.overlays.asking import CACHE
from cloche.overlays.closure import OURS
from cloche.overlays.content import File, Files
from cloche.overlays.record import Record
from cloche.overlays.source import Entry


@dataclass(frozen=True, slots=True)
class Edit:
    """A file that somebody changed, added or removed: ``now`` is None for one that is gone."""

    path: str
    how: str  # "changed", "added", "removed"
    now: File | None


def edits(record: Record, present: Files) -> tuple[Edit, ...]:
    """What differs from the lock. The metadata cache is always made anew, so it is left out."""
    found = []
    for path in sorted({*record.files, *present}):
        made, now = record.files.get(path), present.get(path)
        if path.startswith(f"{CACHE}/") or (made and now and made.id == now.id):
            continue
        how = "added" if made is None else "removed" if now is None else "changed"
        found.append(Edit(path, how, now))
    return tuple(found)


def in_conflict(
    found: Iterable[Edit], record: Record, listing: Mapping[str, Entry]
) -> tuple[Edit, ...]:
    """The edits of files that the overlay has changed, too, by the listing of its new commit."""
    wrong = []
    for edit in found:
        made, entry = record.files.get(edit.path), listing.get(edit.path)
        theirs = f"{entry.mode}:{entry.id}" if entry else None
        before = (made.origin or made.id) if made else None
        if before == OURS:
            before = None
        if theirs != before and (edit.now is None or edit.now.id != theirs):
            wrong.append(edit)
    return tuple(wrong)
