"""Portage's resolution as frozen data, checked when it is decoded from `guest/resolve.py`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Any

import msgspec

from cloche.decoding import NOT_DECODABLE
from cloche.errors import ClocheError, Exit

# Ebuilds may run while Portage resolves, and could write the answer themselves: parts of paths and
# words of commands are checked here, once.
_NAME = r"[\w+][\w+.-]*"
BROOT = "@broot"
Name = Annotated[str, msgspec.Meta(pattern=rf"\A{_NAME}\Z")]
Cpv = Annotated[str, msgspec.Meta(pattern=rf"\A{_NAME}/{_NAME}\Z")]
PackageId = Annotated[str, msgspec.Meta(pattern=rf"\A{_NAME}/{_NAME}(::{_NAME}({BROOT})?)?\Z")]
FileName = Annotated[str, msgspec.Meta(pattern=r"\A(?!\.\.?\Z)[^/\x00-\x1f\x7f]+\Z")]
RelativePath = Annotated[str, msgspec.Meta(pattern=r"\A(?!/)(?!(.*/)?\.\.(/|\Z))[^\x00-\x1f]*\Z")]
Variable = Annotated[str, msgspec.Meta(pattern=r"\A[^\W\d]\w*\Z")]
Bytes = Annotated[int, msgspec.Meta(ge=0)]

BUILDTIME = "buildtime"  # DEPEND and BDEPEND
RUNTIME = "runtime"  # RDEPEND
RUNTIME_POST = "runtime_post"  # PDEPEND
INSTALL = "install"  # IDEPEND
REPLACES = "replaces"  # not a dependency: what the package replaces

NEEDED_AT_RUN_TIME = frozenset({RUNTIME, RUNTIME_POST})
NEEDED_AT_MERGE = frozenset({RUNTIME, RUNTIME_POST, INSTALL})


@dataclass(frozen=True, slots=True)
class Edge:
    """A dependency of one package on another; ``atom`` is the atom behind it."""

    to: PackageId
    kinds: tuple[str, ...]
    atom: str = ""


@dataclass(frozen=True, slots=True)
class Distfile:
    """A file of SRC_URI with its Manifest line (GLEP 74). ``size`` is in bytes."""

    name: FileName
    size: Bytes
    digests: Mapping[str, str]
    uris: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Binary:
    """A binary package of a host that Portage uses instead of the ebuild.

    ``path`` is relative to the host's address, ``size`` in bytes; ``digests`` are the index's, of
    the kinds that Portage writes there (MD5, SHA1). ``metadata`` is what the index says of it, and
    what its own metadata have to say.
    """

    host: Name
    path: RelativePath
    size: Bytes
    digests: Mapping[str, str]
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Package:
    """One package that Portage would merge. ``id`` is ``CPV::REPO``.

    For a machine with a root of its own, ``broot`` marks what is merged over the seed instead, as a
    tool of builds (PMS 8.1, BROOT); its id is ``CPV::REPO@broot``.

    ``use`` are the enabled flags, ``fixed`` those of ``iuse`` that the profile forces or masks.
    ``uses`` are edges to packages that are installed in the seed, named by their CPV. With
    ``binary`` it comes from a binary package host and is not built.
    """

    id: PackageId
    cpv: Cpv
    category: Name
    pn: Name
    pf: Name
    version: str
    slot: str
    sub_slot: str
    repo: Name
    eapi: str
    ebuild: RelativePath
    use: tuple[str, ...] = ()
    iuse: tuple[str, ...] = ()
    fixed: tuple[str, ...] = ()
    requested: bool = False
    edges: tuple[Edge, ...] = ()
    uses: tuple[Edge, ...] = ()
    inherited: tuple[str, ...] = ()
    defined_phases: tuple[str, ...] = ()
    restrict: tuple[str, ...] = ()
    properties: tuple[str, ...] = ()
    distfiles: tuple[Distfile, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    binary: Binary | None = None
    broot: bool = False

    @property
    def cp(self) -> str:
        """CATEGORY/PN, the name without a version."""
        return f"{self.category}/{self.pn}"

    @property
    def name(self) -> str:
        """``CPV::REPO``, in whichever root it is."""
        return f"{self.cpv}::{self.repo}"

    def targets(self, kinds: frozenset[str]) -> tuple[str, ...]:
        """Ids of the packages that an edge of one of these kinds points to."""
        return tuple(edge.to for edge in self.edges if not kinds.isdisjoint(edge.kinds))


@dataclass(frozen=True)
class Depgraph:
    """Everything to be merged, in Portage's own merge order.

    ``installed`` are the packages of the seed, each with its run-time dependencies; it and the
    packages' ``uses`` are only set if requested. ``complaints`` are Portage's lines about settings
    without effect; ``sayings`` are its other messages while it resolved. ``use_expand`` names the
    profile's variables for groups of USE flags, ``use_expand_hidden`` those hidden from users (PMS
    5.3.2).
    """

    packages: tuple[Package, ...]
    portage: str = ""
    installed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    complaints: tuple[str, ...] = ()
    sayings: tuple[str, ...] = ()
    use_expand: tuple[Variable, ...] = ()
    use_expand_hidden: tuple[Variable, ...] = ()

    def by_id(self) -> Mapping[str, Package]:
        """Packages by their id."""
        return self._by_id

    @cached_property
    def _by_id(self) -> dict[str, Package]:
        return {package.id: package for package in self.packages}


class BadResolutionError(ClocheError):
    """A malformed resolution: a damaged file of the store, or written by an ebuild."""

    status = Exit.FAILED

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"the resolution of the machine is malformed: {reason}",
            todo="run `cloche store verify`; if the store is undamaged, an ebuild interfered with "
            "Portage",
        )


def decode_depgraph(data: bytes) -> Depgraph:
    """Read the JSON that `encode_depgraph` wrote. Raises BadResolutionError."""
    try:
        return _checked(msgspec.json.decode(data, type=Depgraph))
    except NOT_DECODABLE as error:
        raise BadResolutionError(str(error)) from error


def resolution_of(answer: Mapping[str, Any]) -> Depgraph:
    """The resolution in a guest's answer, which is untrusted. Raises BadResolutionError."""
    try:
        return _checked(msgspec.convert(answer, Depgraph))
    except msgspec.ValidationError as error:
        raise BadResolutionError(str(error)) from error


def _checked(graph: Depgraph) -> Depgraph:
    """Check that names are consistent and that all edges lead to packages."""
    ids = {package.id for package in graph.packages}
    if len(ids) != len(graph.packages):
        raise BadResolutionError("it has a package twice")
    for package in graph.packages:
        if package.cpv != f"{package.category}/{package.pf}":
            raise BadResolutionError(f"{package.cpv} is not {package.category}/{package.pf}")
        if package.id != package.name + BROOT * package.broot:
            raise BadResolutionError(f"{package.id} is not {package.name}")
        lost = next((edge.to for edge in package.edges if edge.to not in ids), None)
        if lost is not None:
            raise BadResolutionError(f"{package.id} depends on {lost}, which is not in it")
    return graph


def encode_depgraph(graph: Depgraph) -> bytes:
    """Write a resolution so that `decode_depgraph` reads it back."""
    return msgspec.json.encode(graph, order="deterministic")
