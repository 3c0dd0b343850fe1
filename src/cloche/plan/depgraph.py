"""Portage's own resolution as frozen data: what `guest/resolve.py` said, checked on the way in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

BUILDTIME = "buildtime"  # DEPEND and BDEPEND
RUNTIME = "runtime"  # RDEPEND
RUNTIME_POST = "runtime_post"  # PDEPEND
INSTALL = "install"  # IDEPEND
REPLACES = "replaces"  # no dependency: what is installed in the place of the package

NEEDED_AT_RUN_TIME = frozenset({RUNTIME, RUNTIME_POST})
NEEDED_AT_MERGE = frozenset({RUNTIME, RUNTIME_POST, INSTALL})


@dataclass(frozen=True, slots=True)
class Edge:
    """A dependency of one package on another one; ``atom`` is the words that made it."""

    to: str
    kinds: tuple[str, ...]
    atom: str = ""


@dataclass(frozen=True, slots=True)
class Distfile:
    """A file of SRC_URI with its Manifest line (GLEP 74). ``size`` is in bytes."""

    name: str
    size: int
    digests: Mapping[str, str]
    uris: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Package:
    """One package that Portage would merge. ``id`` is ``CPV::REPO``.

    ``uses`` are edges to packages that are installed in the seed, which are named by their CPV.
    """

    id: str
    cpv: str
    category: str
    pn: str
    pf: str
    version: str
    slot: str
    sub_slot: str
    repo: str
    eapi: str
    ebuild: str
    use: tuple[str, ...] = ()
    iuse: tuple[str, ...] = ()
    requested: bool = False
    edges: tuple[Edge, ...] = ()
    uses: tuple[Edge, ...] = ()
    inherited: tuple[str, ...] = ()
    defined_phases: tuple[str, ...] = ()
    restrict: tuple[str, ...] = ()
    distfiles: tuple[Distfile, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def cp(self) -> str:
        """CATEGORY/PN, the name without a version."""
        return f"{self.category}/{self.pn}"

    def targets(self, kinds: frozenset[str]) -> tuple[str, ...]:
        """Ids of the packages that an edge of one of these kinds points to."""
        return tuple(edge.to for edge in self.edges if not kinds.isdisjoint(edge.kinds))


@dataclass(frozen=True, slots=True)
class Depgraph:
    """Everything to be merged, in Portage's own merge order.

    ``installed`` are the packages of the seed, each with those that it needs at run time; it is
    there, as are the packages' ``uses``, where a resolution was asked for it.
    """

    packages: tuple[Package, ...]
    portage: str = ""
    installed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def by_id(self) -> dict[str, Package]:
        """Packages by their id."""
        return {package.id: package for package in self.packages}


def decode_depgraph(data: bytes) -> Depgraph:
    """Read the JSON of a successful resolution. Raises msgspec.ValidationError on a wrong shape."""
    return msgspec.json.decode(data, type=Depgraph)


def encode_depgraph(graph: Depgraph) -> bytes:
    """Write a resolution so that `decode_depgraph` reads it back."""
    return msgspec.json.encode(graph, order="deterministic")
