"""What can go wrong with putting layers into one root."""

from __future__ import annotations

from collections.abc import Sequence

from cloche.errors import ClocheError, Exit

SHOWN = 3  # files that an error's one line names


class CollisionError(ClocheError):
    """Packages that cannot be in one root; ``found`` has (one, other, paths) for each pair.

    They own the same files, or one has a file or a link where another one has a directory. Stock
    emerge refuses to merge the second one of such a pair. ``root`` is "machine NAME", or the id of
    the package that is built there.
    """

    status = Exit.FAILED

    def __init__(self, root: str, found: Sequence[tuple[str, str, Sequence[str]]]) -> None:
        first, second, paths = found[0]
        rest = len(paths) - SHOWN
        files = ", ".join(paths[:SHOWN]) + (f" and {rest} more" if rest > 0 else "")
        more = f" ({len(found) - 1} more such pairs)" if len(found) > 1 else ""
        pairs = (f"{a} and {b}:\n  " + "\n  ".join(paths) for a, b, paths in found)
        super().__init__(
            f"file collision of {first} and {second}: {files}{more}",
            where=root,
            todo="leave one of them out, or mask the files of one with INSTALL_MASK in package.env",
            detail="\n".join(pairs) if more or rest > 0 else None,
        )
