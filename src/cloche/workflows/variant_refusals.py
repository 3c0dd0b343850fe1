"""Errors for a variant of a machine that cannot be resolved: no file of the project is at fault."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from cloche.building.unresolved import ResolutionError
from cloche.config.atoms import name_of
from cloche.errors import ClocheError
from cloche.plan.names import nearest
from cloche.workflows.patch_package import in_words, versions

#: Advice to use an option of `cloche build` that `cloche try` does not have.
_OPTION: Final = re.compile(r"(;| \() ?`--autounmask-write FRAGMENT` does it\)?")


def refused(error: ResolutionError, machine: str, atom: str, trees: Sequence[Path]) -> ClocheError:
    """The error of `cloche try` for an error of Portage.

    If the atom itself is unknown or masked, it is one line; otherwise Portage's reasons follow.
    """
    todo = _OPTION.sub("", error.todo or "")
    if error.kind == "unknown" and error.asked == atom:
        todo = near(atom, trees)
    alone = error.kind in ("unknown", "masked") and error.what.endswith(f" {atom}")
    return ClocheError(
        error.what,
        where=f"machine {machine}",
        todo=todo or None,
        detail=None if alone else error.detail,
    )


def near(atom: str, trees: Sequence[Path]) -> str:
    """What there is instead of an atom that nothing matches: other versions, or similar names."""
    name = name_of(atom) or atom
    category, _, pn = name.partition("/")
    if there := versions(trees, category, pn):
        return f"of {name} {in_words(there)}"
    close = nearest(name, names(trees))
    wrong = "no repository of the machine has a similar name"
    return f"did you mean {' or '.join(close)}?" if close else wrong


def names(trees: Iterable[Path]) -> Iterator[str]:
    """CATEGORY/PN of all packages in some repositories."""
    for tree in trees:
        file = tree / "profiles/categories"
        for category in file.read_text().split() if file.is_file() else ():
            if (tree / category).is_dir():
                yield from (f"{category}/{each.name}" for each in (tree / category).iterdir())
