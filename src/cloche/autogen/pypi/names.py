"""Names of Python projects as Gentoo's, and of their sdists as `pypi.eclass` makes them.

Sources: PEP 503 (normalised names), PEP 625 (names of sdists), PMS 3.1.2 (package names),
Gentoo's Python guide ("Package name policy").
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from packaging.utils import canonicalize_name

from cloche.autogen.errors import RefusedError
from cloche.config.atoms import PACKAGE, VERSION

_NAME = re.compile(r"[A-Z0-9]|[A-Z0-9][A-Z0-9._-]*[A-Z0-9]", re.IGNORECASE)
_TRANSLATED = (("_alpha", "a"), ("_beta", "b"), ("_pre", ".dev"), ("_rc", "rc"), ("_p", ".post"))
_SUFFIXES = (".tar.gz", ".zip")


def checked(name: str) -> str:
    """A project's name, if it is one (PEP 508). Raises `RefusedError`."""
    if not _NAME.fullmatch(name):
        what = f"“{name}” is not a name of a Python project (PEP 508)"
        raise RefusedError(what, todo="give a name such as requests or zope.interface")
    return name


def package_name(project: str) -> str:
    """The PN of a project: its normalised name, which a version must not seem to end."""
    name = canonicalize_name(checked(project))
    if not re.fullmatch(PACKAGE, name) or re.fullmatch(rf".*-{VERSION}", name):
        head, _, tail = name.rpartition("-")
        return f"{head}_{tail}"
    return name


@dataclass(frozen=True, slots=True)
class SdistNames:
    """What an ebuild has to say so that the eclass finds an sdist.

    ``pypi_pn`` and ``no_normalize`` are the eclass's variables. ``uri`` is a call of
    ``pypi_sdist_url`` and ``directory`` the S, where those of the eclass would be wrong.
    """

    pypi_pn: str | None = None
    no_normalize: bool = False
    uri: str | None = None
    directory: str | None = None
    zipped: bool = False


def sdist_names(project: str, pn: str, pv: str, filename: str, top: str) -> SdistNames:
    """How to name an sdist, whose content is in the directory ``top``. Raises `RefusedError`."""
    suffix = next((s for s in _SUFFIXES if filename.endswith(s)), None)
    if suffix is None:
        what = f"the sdist {filename} is neither .tar.gz nor .zip"
        raise RefusedError(what, where=project, todo="write this ebuild by hand")
    stem, version = filename.removesuffix(suffix), translated(pv)
    other = None if canonicalize_name(project) == pn else project
    for pypi_pn in dict.fromkeys((other or pn, project, stem.removesuffix(f"-{version}"))):
        for plain in (False, True):
            expected = f"{pypi_pn if plain else _normalised(pypi_pn)}-{version}"
            if expected == stem and canonicalize_name(pypi_pn) == canonicalize_name(project):
                named = None if pypi_pn == pn else pypi_pn
                uri = f'"$(pypi_sdist_url{" --no-normalize" if plain else ""} "${{PYPI_PN}}" '
                uri += f'"{version}" {suffix})"'
                return SdistNames(
                    named,
                    plain,
                    None if suffix == ".tar.gz" else uri,
                    None if top == expected else top,
                    suffix == ".zip",
                )
    pypi_pn, _, text = stem.rpartition("-")
    if canonicalize_name(pypi_pn) != canonicalize_name(project):
        what = f"the sdist's name {filename} does not begin with the project's"
        raise RefusedError(what, where=project, todo="write this ebuild by hand")
    uri = f'"$(pypi_sdist_url --no-normalize "{pypi_pn}" "{text}" {suffix})"'
    return SdistNames(other, False, uri, top, suffix == ".zip")


def translated(pv: str) -> str:
    """The version of Python that the eclass makes of PV."""
    for gentoo, python in _TRANSLATED:
        pv = pv.replace(gentoo, python, 1)
    return pv


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "_", name).lower()
