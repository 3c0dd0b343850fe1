"""Build backends (PEP 517) as ``DISTUTILS_USE_PEP517``, and what the eclass brings with each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from packaging.utils import canonicalize_name

from cloche.autogen.pypi.project import BuildSystem


@dataclass(frozen=True, slots=True)
class Backend:
    """A value of ``DISTUTILS_USE_PEP517``.

    ``brought`` are projects that its users need not require; the eclass has dependencies on the
    first ``needed`` of them.
    """

    key: str
    brought: tuple[str, ...]
    needed: int = 1


_FLIT = Backend("flit", ("flit-core", "flit"))
_PDM = Backend("pdm-backend", ("pdm-backend", "pdm-pep517"))
_POETRY = Backend("poetry", ("poetry-core", "poetry"))
_SETUPTOOLS = Backend("setuptools", ("setuptools",))
STANDALONE = Backend("standalone", ())

BACKENDS: Mapping[str, Backend] = {
    "flit_core.buildapi": _FLIT,
    "flit.buildapi": _FLIT,
    "flit_scm:buildapi": Backend("flit_scm", ("flit-core", "flit-scm"), 2),
    "hatchling.build": Backend("hatchling", ("hatchling",)),
    "jupyter_packaging.build_api": Backend("jupyter", ("jupyter-packaging",)),
    "maturin": Backend("maturin", ("maturin",)),
    "mesonpy": Backend("meson-python", ("meson-python", "meson", "ninja")),
    "pbr.build": Backend("pbr", ("pbr", "setuptools")),
    "pdm.backend": _PDM,
    "pdm.pep517.api": _PDM,
    "poetry.core.masonry.api": _POETRY,
    "poetry.masonry.api": _POETRY,
    "scikit_build_core.build": Backend("scikit-build-core", ("scikit-build-core",)),
    "setuptools.build_meta": _SETUPTOOLS,
    "setuptools.build_meta:__legacy__": _SETUPTOOLS,
    "sipbuild.api": Backend("sip", ("sip",)),
    "uv_build": Backend("uv-build", ("uv-build",)),
}

# setuptools makes wheels itself since 70.1.
_NEVER = ("wheel",)


def backend(build: BuildSystem) -> Backend:
    """The backend of a project; one of its own, or an unknown one, is standalone."""
    return STANDALONE if build.in_tree else BACKENDS.get(build.backend, STANDALONE)


def is_brought(build: BuildSystem, project: str) -> bool:
    """Whether the eclass brings a project that the build requires."""
    name = canonicalize_name(project)
    return name in _NEVER or name in backend(build).brought
