"""What can go wrong with a store."""

# ruff: noqa: D102 - the texts of an error are documented in cloche.errors

from __future__ import annotations

from pathlib import Path

from cloche.errors import ClocheError, Exit
from cloche.store.records import Tree


class StoreTooNewError(ClocheError):
    """The store was written by a newer cloche; ``found`` and ``known`` are format numbers."""

    status = Exit.BAD_INPUT

    def __init__(self, path: Path, found: int, known: int) -> None:
        super().__init__(path, found, known)
        self.path = path
        self.found = found
        self.known = known

    @property
    def what(self) -> str:
        return f"the store has format {self.found}, this cloche knows up to {self.known}"

    @property
    def where(self) -> str:
        return str(self.path)

    @property
    def todo(self) -> str:
        return "use a newer cloche, or another store directory"


class NotAStoreError(ClocheError):
    """The directory holds something else; ``found`` is one name that no store has."""

    status = Exit.BAD_INPUT

    def __init__(self, path: Path, found: str) -> None:
        super().__init__(path, found)
        self.path = path
        self.found = found

    @property
    def what(self) -> str:
        return f"this is not a store of cloche (it holds {self.found!r})"

    @property
    def where(self) -> str:
        return str(self.path)

    @property
    def todo(self) -> str:
        return "name an empty or a new directory"


class DamagedIndexError(ClocheError):
    """The index is lost, damaged, or another store's; ``why`` says how that shows."""

    status = Exit.HOST

    def __init__(self, index: Path, why: str) -> None:
        super().__init__(index, why)
        self.index = index
        self.why = why

    @property
    def what(self) -> str:
        return f"the store's index cannot be used: {self.why}"

    @property
    def where(self) -> str:
        return str(self.index)

    @property
    def todo(self) -> str:
        return "nothing was removed; `cloche store recover` makes it again from what is there"


class UnknownContentError(ClocheError):
    """The store holds objects that its index does not know, so it cannot say what is garbage."""

    status = Exit.BAD_INPUT

    def __init__(self, path: Path, count: int) -> None:
        super().__init__(path, count)
        self.path = path
        self.count = count

    @property
    def what(self) -> str:
        return (
            f"{self.count} layers or files are not in the index, which may have lost "
            "more than them; nothing was removed"
        )

    @property
    def where(self) -> str:
        return str(self.path)

    @property
    def todo(self) -> str:
        return "`cloche store recover` enters them, `cloche store gc --unknown` removes them"


class StoreForbiddenError(ClocheError):
    """The store, or the place where it is to be made, belongs to somebody else."""

    status = Exit.BAD_INPUT

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.path = path

    @property
    def what(self) -> str:
        return "you may not write to this store"

    @property
    def where(self) -> str:
        return str(self.path)

    @property
    def todo(self) -> str:
        return "name one of your own with --store or $CLOCHE_STORE"


class ForeignStoreError(ClocheError):
    """The store belongs to another user, ``owner``, or (``moved``) its files to other ids.

    ``moved`` says that the directory is the user's, but not what is in it: the range of subordinate
    ids has changed, or the store was copied without the owners of its files.
    """

    status = Exit.BAD_INPUT

    def __init__(self, path: Path, owner: str, *, moved: bool) -> None:
        super().__init__(path, owner, moved)
        self.path = path
        self.owner = owner
        self.moved = moved

    @property
    def what(self) -> str:
        if self.moved:
            return (
                f"this store was made by {self.owner} with other user and group ids "
                "(another range in /etc/subuid, or a copy that lost its owners)"
            )
        return f"this is a store, or a place, of {self.owner}; a store is used by one user alone"

    @property
    def where(self) -> str:
        return str(self.path)

    @property
    def todo(self) -> str:
        if self.moved:
            return f"`sudo cloche --store {self.path} store adopt` gives it its owners again"
        return (
            f"run cloche as {self.owner}, or name a store of your own with --store or "
            "$CLOCHE_STORE; `store adopt` (as root) gives a store to a user"
        )


class NotRootError(ClocheError):
    """Only root can give files to others."""

    status = Exit.HOST

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.path = path

    @property
    def what(self) -> str:
        return "only root can change whose files are"

    @property
    def where(self) -> str:
        return str(self.path)

    @property
    def todo(self) -> str:
        return f"run `sudo cloche --store {self.path} store adopt`"


class UnknownUserError(ClocheError):
    """The system does not know ``user``."""

    status = Exit.BAD_INPUT

    def __init__(self, user: str) -> None:
        super().__init__(user)
        self.user = user

    @property
    def what(self) -> str:
        return f"there is no user {self.user}"

    @property
    def todo(self) -> str:
        return "name one of /etc/passwd with --user"


class StoreBusyError(ClocheError):
    """Another process holds the store; ``exclusive`` tells which kind of hold was asked for.

    ``holders`` are the processes that hold it, as far as they are known.
    """

    status = Exit.HOST

    def __init__(self, path: Path, *, exclusive: bool, holders: tuple[str, ...] = ()) -> None:
        super().__init__(path, exclusive, holders)
        self.path = path
        self.exclusive = exclusive
        self.holders = holders

    @property
    def what(self) -> str:
        who = f" ({'; '.join(self.holders)})" if self.holders else ""
        if self.exclusive:
            return f"other cloche processes are using the store{who}"
        return f"another cloche process has the store to itself{who}"

    @property
    def where(self) -> str:
        return str(self.path)

    @property
    def todo(self) -> str:
        return "try again when they are done"


class NotExclusiveError(ClocheError):
    """Something that takes things away was asked of a store that others may be using."""

    status = Exit.HOST

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.path = path

    @property
    def what(self) -> str:
        return "the store is open for sharing, and this needs it alone"

    @property
    def where(self) -> str:
        return str(self.path)

    @property
    def todo(self) -> str:
        return "open it with exclusive=True"


class UnknownError(ClocheError):
    """Base of `UnknownTreeError` and `UnknownBlobError`: the store does not hold ``id``."""

    status = Exit.FAILED
    noun = "object"

    def __init__(self, path: Path, id: str) -> None:
        super().__init__(path, id)
        self.path = path
        self.id = id

    @property
    def what(self) -> str:
        return f"the store holds no {self.noun} {self.id}"

    @property
    def where(self) -> str:
        return str(self.path)

    @property
    def todo(self) -> str:
        return "build it again; `cloche store verify` tells whether more is missing"


class UnknownTreeError(UnknownError):
    """No tree of this id, or its directory is gone."""

    noun = "layer"


class UnknownBlobError(UnknownError):
    """No blob of this id, or its file is gone."""

    noun = "blob"


class ChangedTreeError(ClocheError):
    """A tree was changed in its place after it was stored."""

    status = Exit.FAILED

    def __init__(self, tree: Tree) -> None:
        super().__init__(tree)
        self.tree = tree

    @property
    def what(self) -> str:
        return f"the layer of {self.tree.label} was changed after it was stored"

    @property
    def where(self) -> str:
        return str(self.tree.path)

    @property
    def todo(self) -> str:
        return "`cloche store verify --repair` drops it, and the next build makes it again"


class BadIdError(ClocheError):
    """An id that is not 64 hexadecimal digits in lower case, so it must not become a path."""

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self.id = id

    @property
    def what(self) -> str:
        return f"{self.id!r} is not an id (64 hexadecimal digits, lower case)"


class TooDeepError(ClocheError):
    """``path``, relative to ``root``, has more directories in it than layers may have levels."""

    status = Exit.FAILED

    def __init__(self, root: Path, path: str) -> None:
        super().__init__(root, path)
        self.root = root
        self.path = path

    @property
    def what(self) -> str:
        return f"a tree of more than {self.path.count('/')} levels is too deep for a layer"

    @property
    def where(self) -> str:
        return f"{self.root}: {self.path[:200]}…"

    @property
    def todo(self) -> str:
        return "remove that tree before the layer is made, or leave it out (`drop`)"


class TreeChangedError(ClocheError):
    """``path``, relative to ``root``, changed while the tree was being read."""

    status = Exit.FAILED

    def __init__(self, root: Path, path: str) -> None:
        super().__init__(root, path)
        self.root = root
        self.path = path

    @property
    def what(self) -> str:
        return f"{self.path} changed while the tree was being read"

    @property
    def where(self) -> str:
        return str(self.root)

    @property
    def todo(self) -> str:
        return "see which process writes there"
