"""Finds categories that have a directory but are not declared: Portage ignores them.

What counts is the union of ``profiles/categories`` of all repositories (PMS 4.4.2, portage(5)).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from cloche.building.context import Inputs
from cloche.config.errors import Origin
from cloche.portage.errors import RepositoryError
from cloche.portage.etc import REPOS


def check_categories(inputs: Inputs, categories: Iterable[str]) -> None:
    """Refuse a category that has a directory in a repository, but is not listed in any."""
    listed: set[str] = set()
    for tree in inputs.snapshots.values():
        file = tree / "profiles/categories"
        listed |= set(file.read_text().split()) if file.is_file() else set()
    for category in sorted(set(categories) - listed):
        for name, tree in inputs.snapshots.items():
            if next(tree.glob(f"{category}/*/*.ebuild"), None) is not None:
                place = inputs.own.get(f"{REPOS}/{name}", Path(REPOS, name))
                raise RepositoryError(
                    Origin(place / "profiles/categories"),
                    f"it does not list the category {category}",
                    f"add a line `{category}`",
                )
