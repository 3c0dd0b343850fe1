"""What can go wrong with putting layers into one root."""

from __future__ import annotations

from cloche.errors import ClocheError, Exit
from cloche.tasks.errors import SHOWN


class CollisionError(ClocheError):
    """Packages that cannot be in one root; ``found`` has (one, other, paths) for each pair.

    They own the same files, or one has a file or a link where another one has a directory. Stock
    emerge refuses to merge the second one of such a pair. ``root`` is "machine NAME", or the id of
    the package that is built there.
    """

    status = Exit.FAILED

    def __init__(self, root: str, found: tuple[tuple[str, str, tuple[str, ...]], ...]) -> None:
        super().__init__(root, found)
        self.root, self.found = root, found

    @property
    def what(self) -> str:
        """The first pair, and how many more there are."""
        first, second, paths = self.found[0]
        rest = len(paths) - SHOWN
        files = ", ".join(paths[:SHOWN]) + (f" and {rest} more" if rest > 0 else "")
        more = f" ({len(self.found) - 1} more such pairs)" if len(self.found) > 1 else ""
        return f"file collision of {first} and {second}: {files}{more}"

    @property
    def where(self) -> str | None:
        """The root."""
        return self.root

    @property
    def todo(self) -> str | None:
        """What a person can do."""
        return "leave one of them out, or mask the files of one with INSTALL_MASK in package.env"

    @property
    def detail(self) -> str | None:
        """All pairs with all of their files, where the one line does not have them."""
        if len(self.found) == 1 and len(self.found[0][2]) <= SHOWN:
            return None
        pairs = (f"{a} and {b}:\n  " + "\n  ".join(paths) for a, b, paths in self.found)
        return "\n".join(pairs)
