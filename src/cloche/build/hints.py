"""What the end of a failed log says about the cause, and its cure."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from cloche.build.diagnose import Missing, missing_in, no_space, owners, tried_network, was_killed
from cloche.build.workshop import Workshop
from cloche.portage.cpv import split_cpv
from cloche.portage.errors import BadNameError


def hint_of(shop: Workshop, tail: str) -> str | None:
    """What the end of a log says about the cause, and its cure."""
    hints = [hint for missing in missing_in(tail) if (hint := _of_missing(shop, missing))]
    if tried_network(tail):
        hints.append("a build has no network: everything it needs belongs in SRC_URI")
    if no_space(tail):
        hints.append(f"the disk was full: free some room in {shop.store.path}")
    if shop.policy.limits.memory and was_killed(tail):
        hints.append("something was killed: perhaps it needs more than [limits] memory gives it")
    return "; ".join(hints) or None


def _of_missing(shop: Workshop, missing: Missing) -> str | None:
    if known := owners(missing, _layers_of_this_machine(shop)):
        return (
            f"{missing.what} was not visible; it belongs to {', '.join(known)}: "
            "add that to DEPEND or BDEPEND"
        )
    if hidden_in_seed(shop, missing):
        return (
            f"{missing.what} is in the seed but hidden by --strict; "
            "declare the package that brings it"
        )
    return None


def _layers_of_this_machine(shop: Workshop) -> Iterator[Path]:
    """Layers of packages that the machine's repositories have; a store holds others' as well."""
    for tree in shop.store.trees():
        if tree.kind != "package":
            continue
        try:
            cpv = split_cpv(tree.label)
        except BadNameError:
            continue
        place = Path(cpv.category, cpv.pn)
        if any((repo.path / place).is_dir() for repo in shop.inputs.repos.values()):
            yield tree.path


def hidden_in_seed(shop: Workshop, missing: Missing) -> bool:
    """Whether the seed has it, and a layer of whiteouts (``--strict``) takes it away."""
    base = {layer.kind: layer.path for layer in shop.inputs.base}
    if "strict" not in base or "seed" not in base:
        return False
    seed, strict = base["seed"], base["strict"]
    for top, _, names in os.walk(seed):
        for name in names:
            path = Path(top, name).relative_to(seed)
            if f"/{path}".endswith(missing.endings) and _whited_out(strict, path):
                return True
    return False


def _whited_out(strict: Path, path: Path) -> bool:
    """A whiteout is a character device 0:0, in place of the path or of a directory above it."""
    for part in (path, *path.parents):
        try:
            info = (strict / part).lstat()
        except (FileNotFoundError, NotADirectoryError):
            continue
        return stat.S_ISCHR(info.st_mode) and info.st_rdev == 0
    return False
