"""Binary packages, as far as the host has to know them: their paths.

What is inside (GLEP 78), and the ``Packages`` index, are read and written by Portage alone.
"""

from __future__ import annotations

from typing import Final

BUILD_ID: Final = 1  # one machine holds one instance of each version, so it is always the first


def gpkg_path(category: str, pn: str, pf: str, build_id: int = BUILD_ID) -> str:
    """Where a package lies below a PKGDIR with FEATURES=binpkg-multi-instance."""
    return f"{category}/{pn}/{pf}-{build_id}.gpkg.tar"
