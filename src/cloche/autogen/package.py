"""A package as autogen is about to write it, whatever it comes from."""

from __future__ import annotations

from dataclasses import dataclass, field

from cloche.autogen.dependencies import Dependency


@dataclass(frozen=True, slots=True)
class Maintainer:
    """Who is asked about the package (GLEP 67)."""

    email: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """A distfile: its size in bytes, and digests by Manifest hash names (GLEP 74)."""

    name: str
    size: int
    digests: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Ebuild:
    """An ebuild, as its text says it.

    ``before`` and ``after`` are lines of bash before ``inherit`` and at the end, ``sources`` those
    that set SRC_URI and S where eclasses do not, ``crate_licences`` those that add to LICENSE.
    """

    category: str
    pn: str
    pv: str
    before: tuple[str, ...]
    inherit: tuple[str, ...]
    description: str
    homepage: tuple[str, ...]
    license: str
    keywords: tuple[str, ...]
    sources: tuple[str, ...] = ()
    iuse: tuple[str, ...] = ()
    restrict: str = ""
    rdepend: tuple[Dependency, ...] = ()
    depend: tuple[Dependency, ...] = ()
    bdepend: tuple[Dependency, ...] = ()
    after: tuple[str, ...] = ()
    crate_licences: tuple[str, ...] = ()

    @property
    def cp(self) -> str:
        """Category and name."""
        return f"{self.category}/{self.pn}"

    @property
    def cpv(self) -> str:
        """Category, name and version."""
        return f"{self.cp}-{self.pv}"


@dataclass(frozen=True, slots=True)
class Package:
    """An ebuild with what goes beside it; ``notes`` are for the user.

    ``remote_ids`` are kinds and names (GLEP 68), ``flags`` USE flags and what they do.
    """

    ebuild: Ebuild
    sources: tuple[Source, ...]
    remote_ids: tuple[tuple[str, str], ...] = ()
    flags: tuple[tuple[str, str], ...] = ()
    maintainers: tuple[Maintainer, ...] = ()
    notes: tuple[str, ...] = field(default=())
