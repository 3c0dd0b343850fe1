"""Content-addressed trees and files, what is known about them, locks, and upkeep.

`Store.open` gives the store; trees and blobs go in with `Store.add_tree` and `Store.add_blob` and
never change from then on. `remember` does a step once for each key (`make_key`),
`Store.pin` keeps things from `gc`, `verify` reads everything again, `usage` measures, `recover`
makes the index again, `adopt` gives a store to a user.
"""

from __future__ import annotations

from cloche.store.adopt import AdoptReport, adopt
from cloche.store.check import check_tree
from cloche.store.errors import (
    DamagedIndexError,
    StoreBusyError,
    StoreError,
    UnreadableTreeError,
)
from cloche.store.gc import KEEP_CCACHES, GcReport, gc
from cloche.store.memo import Key, Outcome, Remembered, make_key, record, remember
from cloche.store.owner import IdMap, Owner
from cloche.store.records import Action, Blob, Pin, Tree
from cloche.store.recover import RecoverReport, recover
from cloche.store.removal import remove_tree
from cloche.store.store import Store
from cloche.store.tree import Entry, exact_digest, measure, walk
from cloche.store.unions import Union, add_union, known_unions, unions, use_union
from cloche.store.usage import Part, Usage, usage
from cloche.store.verify import Problem, VerifyReport, verify

__all__ = [
    "KEEP_CCACHES",
    "Action",
    "AdoptReport",
    "Blob",
    "DamagedIndexError",
    "Entry",
    "GcReport",
    "IdMap",
    "Key",
    "Outcome",
    "Owner",
    "Part",
    "Pin",
    "Problem",
    "RecoverReport",
    "Remembered",
    "Store",
    "StoreBusyError",
    "StoreError",
    "Tree",
    "Union",
    "UnreadableTreeError",
    "Usage",
    "VerifyReport",
    "add_union",
    "adopt",
    "check_tree",
    "exact_digest",
    "gc",
    "known_unions",
    "make_key",
    "measure",
    "record",
    "recover",
    "remember",
    "remove_tree",
    "unions",
    "usage",
    "use_union",
    "verify",
    "walk",
]
