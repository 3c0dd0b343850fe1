"""Content-addressed trees and files, what is known about them, locks, and upkeep.

`Store.open` gives the store; trees and blobs go in with `Store.add_tree` and `Store.add_blob` and
never change from then on. `Store.record` and `Store.action` remember steps by their keys,
`Store.pin` keeps things from `gc`, `verify` reads everything again, `usage` measures.
"""

from __future__ import annotations

from cloche.store.errors import (
    BadIdError,
    NotAStoreError,
    NotExclusiveError,
    StoreBusyError,
    StoreForbiddenError,
    StoreTooNewError,
    TooDeepError,
    TreeChangedError,
    UnknownBlobError,
    UnknownTreeError,
)
from cloche.store.gc import GcReport, gc
from cloche.store.records import Action, Blob, Pin, Tree
from cloche.store.store import Store
from cloche.store.tree import Entry, exact_digest, measure, remove_tree, walk
from cloche.store.unions import Union, add_union, known_unions, unions, use_union
from cloche.store.usage import Part, Usage, usage
from cloche.store.verify import Problem, VerifyReport, verify

__all__ = [
    "Action",
    "BadIdError",
    "Blob",
    "Entry",
    "GcReport",
    "NotAStoreError",
    "NotExclusiveError",
    "Part",
    "Pin",
    "Problem",
    "Store",
    "StoreBusyError",
    "StoreForbiddenError",
    "StoreTooNewError",
    "TooDeepError",
    "Tree",
    "TreeChangedError",
    "Union",
    "UnknownBlobError",
    "UnknownTreeError",
    "Usage",
    "VerifyReport",
    "add_union",
    "exact_digest",
    "gc",
    "known_unions",
    "measure",
    "remove_tree",
    "unions",
    "usage",
    "use_union",
    "verify",
    "walk",
]
