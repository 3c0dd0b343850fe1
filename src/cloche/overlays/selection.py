"""Which files of an overlay are taken for packages: pure functions over its listing."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import PurePosixPath
from typing import Final

from cloche.config.atoms import CATEGORY, PACKAGE
from cloche.overlays import profiles
from cloche.overlays.errors import OverlayError, offered
from cloche.overlays.source import Entry

LAYOUT: Final = "metadata/layout.conf"
REPO_NAME: Final = "profiles/repo_name"
_EBUILD: Final = re.compile(rf"({CATEGORY}/({PACKAGE}))/\2-[^/]+\.ebuild")
_ECLASS: Final = re.compile(r"eclass/([A-Za-z_][A-Za-z0-9_.-]*)\.eclass")
# Checks that Portage runs at the end of an install, and how pkgcheck is to look at the repository.
_METADATA: Final = re.compile(
    r"metadata/(layout\.conf|pkgcheck\.conf|qa-policy\.conf|install-qa-check\.d/[^/]+)"
)

Listing = Mapping[str, Entry]


def packages(listing: Listing) -> Collection[str]:
    """All packages: CATEGORY/PN with at least one ebuild."""
    return {match[1] for path in listing if (match := _EBUILD.fullmatch(path))}


def check_tree(overlay: str, listing: Listing) -> None:
    """See that this is an ebuild repository. Raises OverlayError."""
    if not any(path.startswith(("profiles/", "metadata/")) for path in listing):
        what = "it is not an ebuild repository: it has no profiles/ and no metadata/"
        raise OverlayError(what, where=f"overlay {overlay}", todo="check its address and branch")


def check_packages(overlay: str, listing: Listing, wanted: Iterable[str]) -> None:
    """See that the overlay has these packages. Raises OverlayError with the nearest name."""
    known = packages(listing)
    for package in wanted:
        if package not in known:
            what = f"it has no package “{package}”"
            raise OverlayError(what, where=f"overlay {overlay}", todo=offered(package, known))


def of_package(listing: Listing, package: str) -> Listing:
    """All files of a package, and its category's description."""
    top, category = f"{package}/", f"{package.partition('/')[0]}/metadata.xml"
    return {path: e for path, e in listing.items() if path.startswith(top) or path == category}


def eclasses(listing: Listing) -> Mapping[str, str]:
    """The paths of all eclasses by name."""
    return {match[1]: path for path in listing if (match := _ECLASS.fullmatch(path))}


def common(listing: Listing) -> Listing:
    """What may concern any package: eclasses, and data of the repository."""
    own = set(eclasses(listing).values())
    return {path: entry for path, entry in listing.items() if path in own or _is_data(path)}


def licenses(listing: Listing, names: Iterable[str]) -> Listing:
    """The texts of licences that the overlay has itself."""
    wanted = {f"licenses/{name}" for name in names}
    return {path: entry for path, entry in listing.items() if path in wanted}


def _is_data(path: str) -> bool:
    below = path.removeprefix("profiles/")
    return bool(_METADATA.fullmatch(path)) or (below != path and profiles.is_wanted(below))


def owner(path: str) -> str | None:
    """The package that a file belongs to by its path; None for all else."""
    parts = PurePosixPath(path).parts
    outside = ("eclass", "profiles", "metadata", "licenses")
    return None if len(parts) < 3 or parts[0] in outside else "/".join(parts[:2])
