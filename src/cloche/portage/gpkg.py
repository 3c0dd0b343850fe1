"""Binary packages, as far as the host has to know them: their paths, and the ``Packages`` index.

A multi-instance PKGDIR (FEATURES=binpkg-multi-instance) has ``CATEGORY/PN/PF-BUILD_ID.gpkg.tar``.
What is inside (GLEP 78) is read and written by Portage alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from cloche.portage.cpv import Cpv, split_cpv
from cloche.portage.errors import BadNameError

SUFFIX: Final = ".gpkg.tar"
_PATH: Final = re.compile(r"([^/]+)/([^/]+)/([^/]+)-(\d+)\.gpkg\.tar")


def gpkg_path(cpv: Cpv, build_id: int) -> str:
    """Where a package lies below PKGDIR; build ids count from 1."""
    return f"{cpv.category}/{cpv.pn}/{cpv.pf}-{build_id}{SUFFIX}"


def parse_gpkg_path(path: str) -> tuple[Cpv, int]:
    """The CPV and the build id of a path below PKGDIR. Raises `BadNameError`."""
    match = _PATH.fullmatch(path)
    try:
        cpv = split_cpv(f"{match[1]}/{match[3]}") if match else None
    except BadNameError:
        cpv = None
    if match is None or cpv is None or cpv.pn != match[2]:
        raise BadNameError(path, f"of the form CATEGORY/NAME/NAME-VERSION-BUILD_ID{SUFFIX}")
    return cpv, int(match[4])


@dataclass(frozen=True, slots=True)
class PackagesIndex:
    """A ``Packages`` file: the header's fields, and the fields of each package."""

    header: Mapping[str, str]
    packages: tuple[Mapping[str, str], ...]


def parse_packages(text: str) -> PackagesIndex:
    """Read a ``Packages`` file: blocks of ``KEY: value`` lines, an empty line between them."""
    blocks: list[dict[str, str]] = []
    for block in re.split(r"\n[ \t]*\n", text.strip("\n")):
        fields = (line.partition(":") for line in block.splitlines() if ":" in line)
        blocks.append({key.strip(): value.strip() for key, _, value in fields})
    return PackagesIndex(blocks[0], tuple(block for block in blocks[1:] if block))
