"""What emerge may remove in a freshroot: packages, but not the VDB entries of a Debian seed.

These entries own no files; they satisfy build dependencies with the tools of the seed. Portage
would remove all of them, and then no longer know the tools, which would still be there.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

#: The repository of these entries: `REPOSITORY` of `seeds/debian/provided.py`.
SEED = "debian"
#: Actions that remove what they name, and the one that removes what nothing needs.
REMOVING = ("unmerge", "rage-clean", "clean", "prune", "depclean")
CLEANING = "depclean"


def sparing(action: str, words: Sequence[str], arguments: list[str], vartree: Any) -> list[str]:
    """The arguments such that the seed's entries stay. Ends the program for one that is named."""
    seeds = [cpv for cpv in vartree.cpv_all() if of_seed(vartree, cpv)]
    for word in words:
        found = matches(vartree, word)
        if found and set(found) <= set(seeds):
            name, whose = found[0].cp, "a part of the seed, with files of Debian's packages"
            sys.exit(f"emerge: {name} is {whose}: emerge cannot remove it")
    if action != CLEANING or words or not seeds:
        return arguments
    names = sorted({cpv.cp for cpv in seeds})
    sys.stderr.write(f"emerge: the seed stays: {len(names)} packages that stand for Debian's\n")
    return [*arguments, f"--exclude={' '.join(names)}"]


def of_seed(vartree: Any, cpv: Any) -> bool:
    """Whether an installed package is an entry for a part of the seed."""
    return bool(vartree.aux_get(cpv, ["repository"]) == [SEED])


def matches(vartree: Any, word: str) -> list[Any]:
    """The installed packages that a word of the command means; none if it means something else."""
    from portage.exception import PortageException

    try:
        return [] if word.startswith(("@", "/")) else list(vartree.match(word))
    except (PortageException, ValueError):  # the real emerge says what is wrong with it
        return []
