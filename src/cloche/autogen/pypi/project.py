"""A Python project as its metadata and its sdist tell of it, without running anything."""

from __future__ import annotations

import configparser
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from packaging.metadata import parse_email
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from cloche.autogen.errors import RefusedError
from cloche.autogen.pypi.archive import Sdist
from cloche.config import toml

_EXTRA = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")

_RUST = ("maturin", "setuptools-rust")
# A crate of the project's own, not of its tests or of another project in it.
_ASIDE = re.compile(r"/(?:tests?|docs?|examples?|benchmarks?|[^/]*_templates?)/")
_CARGO = re.compile(r"(?:(?!(?:tests?|docs?|examples?|vendor)/)(?:src/)?[^/]+/)?Cargo\.toml")

_UNRELIABLE = ("1.", "2.0", "2.1")  # before PEP 643, an sdist's metadata may lack anything


@dataclass(frozen=True, slots=True)
class Metadata:
    """Core metadata (PEP 566, 639), as far as an ebuild needs them."""

    name: str
    summary: str
    urls: tuple[tuple[str, str], ...]
    license_expression: str | None
    license: str | None
    classifiers: tuple[str, ...]
    requires_python: str | None
    requires: tuple[Requirement, ...]
    extras: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BuildSystem:
    """``[build-system]`` of pyproject.toml (PEP 517, 518); ``in_tree``: it is part of the sdist."""

    backend: str
    requires: tuple[Requirement, ...]
    in_tree: bool = False


LEGACY = BuildSystem("setuptools.build_meta:__legacy__", ())


def read_metadata(data: bytes, where: str) -> Metadata:
    """Read METADATA or PKG-INFO. Raises `RefusedError`."""
    raw, _ = parse_email(data)
    urls = list(raw.get("project_urls", {}).items())
    if home := raw.get("home_page"):
        urls.insert(0, ("Homepage", home))
    return Metadata(
        raw.get("name", ""),
        raw.get("summary", ""),
        tuple(urls),
        raw.get("license_expression"),
        raw.get("license"),
        tuple(raw.get("classifiers", ())),
        raw.get("requires_python"),
        tuple(requirement(text, where) for text in raw.get("requires_dist", ())),
        tuple(extra_name(extra, where) for extra in raw.get("provides_extra", ())),
    )


def extra_name(text: str, where: str) -> str:
    """The normalised name of an extra (PEP 685), a USE flag later. Raises `RefusedError`."""
    name = canonicalize_name(text)
    if not _EXTRA.fullmatch(name):
        raise RefusedError(f"{text[:100]!r} is not a name for an extra", where=where)
    return name


def requirement(text: str, where: str) -> Requirement:
    """A requirement (PEP 508), on something that an index has. Raises `RefusedError`."""
    try:
        found = Requirement(text)
    except InvalidRequirement as error:
        what = f"the requirement “{text}” is malformed (PEP 508)"
        raise RefusedError(what, where=where, todo="tell upstream") from error
    if found.url is not None:
        what = f"the requirement “{text}” is an address, which no dependency can name"
        raise RefusedError(what, where=where, todo="write this ebuild by hand")
    return found


def sdist_metadata(sdist: Sdist, where: str) -> Metadata:
    """Metadata of an sdist that has no wheel beside it. Raises `RefusedError`.

    Its own PKG-INFO says whether it is complete (PEP 643). Otherwise what setuptools wrote when it
    made the sdist counts, or static lists of pyproject.toml.
    """
    text = sdist.text("PKG-INFO") or sdist.first(r"(?:src/)?[^/]+\.egg-info/PKG-INFO")
    if text is None:
        what = "the sdist has no PKG-INFO, and no wheel is there"
        raise RefusedError(what, where=where, todo="write this ebuild by hand")
    found = read_metadata(text.encode(), where)
    if found.requires or is_complete(sdist):
        return found
    listed = sdist.first(r"(?:src/)?[^/]+\.egg-info/requires\.txt")
    if listed is not None:
        texts = list(_egg_requirements(listed))
    elif sdist.first(r"(?:src/)?[^/]+\.egg-info/PKG-INFO") is not None:
        texts = []  # setuptools writes no requires.txt where nothing is required
    else:
        texts = _static_requirements(sdist, where)
    extras = {t.rpartition("extra == '")[2].rstrip("'") for t in texts if "extra == '" in t}
    return Metadata(
        found.name,
        found.summary,
        found.urls,
        found.license_expression,
        found.license,
        found.classifiers,
        found.requires_python,
        tuple(requirement(each, where) for each in texts),
        tuple(sorted({*found.extras, *(extra_name(each, where) for each in extras)})),
    )


def is_complete(sdist: Sdist) -> bool:
    """Whether an sdist's PKG-INFO says by itself that all requirements are in it (PEP 643)."""
    raw, _ = parse_email((sdist.text("PKG-INFO") or "").encode())
    dynamic = {field.lower() for field in raw.get("dynamic", ())}
    old = raw.get("metadata_version", "1.0").startswith(_UNRELIABLE)
    return not old and "requires-dist" not in dynamic


def _egg_requirements(text: str) -> Iterator[str]:
    """The lines of setuptools' requires.txt as requirements: sections are ``[extra:marker]``."""
    extra = marker = ""
    for line in map(str.strip, text.splitlines()):
        if line.startswith("[") and line.endswith("]"):
            extra, _, marker = line[1:-1].partition(":")
        elif line:
            parts = [f"({marker})"] if marker else []
            parts += [f"extra == '{canonicalize_name(extra)}'"] if extra else []
            yield f"{line} ; {' and '.join(parts)}" if parts else line


def _static_requirements(sdist: Sdist, where: str) -> list[str]:
    project = read_pyproject(sdist, where).get("project", {})
    dynamic = project.get("dynamic", []) if isinstance(project, dict) else ["dependencies"]
    if not project or "dependencies" in dynamic or "optional-dependencies" in dynamic:
        what = "what it needs at run time cannot be known without running its code: it has no wheel"
        raise RefusedError(what, where=where, todo="write this ebuild by hand")
    found = _strings(project.get("dependencies", []))
    extras = project.get("optional-dependencies", {})
    for extra, needs in extras.items() if isinstance(extras, dict) else ():
        for each in _strings(needs):
            need, _, marker = each.partition(";")
            marker = f"({marker.strip()}) and " if marker else ""
            found.append(f"{need} ; {marker}extra == '{canonicalize_name(extra)}'")
    return found


def read_pyproject(sdist: Sdist, where: str) -> Mapping[str, Any]:
    """pyproject.toml; empty if there is none. Raises `RefusedError`."""
    try:
        return toml.loads(sdist.text("pyproject.toml") or "")
    except ValueError as error:
        what = f"pyproject.toml in the sdist is malformed: {error}"
        raise RefusedError(what, where=where, todo="tell upstream") from error


def build_system(sdist: Sdist, pyproject: Mapping[str, Any], where: str) -> BuildSystem:
    """How an sdist is built. Raises `RefusedError`."""
    table = pyproject.get("build-system")
    if not isinstance(table, dict):
        if "setup.py" not in sdist.names and "setup.cfg" not in sdist.names:
            what = "the sdist has neither [build-system] nor setup.py: nothing builds it"
            raise RefusedError(what, where=where, todo="write this ebuild by hand")
        return BuildSystem(LEGACY.backend, tuple(_setup_requires(sdist, where)))
    backend = table.get("build-backend", LEGACY.backend)
    requires = tuple(requirement(text, where) for text in _strings(table.get("requires", [])))
    return BuildSystem(str(backend), requires, bool(table.get("backend-path")))


def _setup_requires(sdist: Sdist, where: str) -> Iterator[Requirement]:
    """``setup_requires`` of setup.cfg; that of setup.py cannot be known without running it."""
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(sdist.text("setup.cfg") or "")
    except configparser.Error:
        return
    for line in parser.get("options", "setup_requires", fallback="").splitlines():
        if text := line.strip():
            yield requirement(text, where)


def _strings(value: object) -> list[str]:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def has_extensions(sdist: Sdist, build: BuildSystem, wheels: Iterable[bool]) -> bool:
    """Whether native code is built; ``wheels`` says of each whether it is pure.

    Where there are no wheels, the sdist's own files say so.
    """
    pure = list(wheels)
    if pure:
        return not all(pure)
    if build.backend in ("maturin", "mesonpy") or build.backend.startswith("scikit_build_core"):
        return True
    setup = sdist.text("setup.py") or ""
    words = r"ext_modules|cffi_modules|rust_extensions|Extension\(|cythonize\("
    native = any(name.endswith((".c", ".cc", ".cpp", ".pyx", ".rs")) for name in sdist.names)
    pyproject = sdist.text("pyproject.toml") or ""
    return bool(native and (re.search(words, setup) or "ext-modules" in pyproject))


def needs_cython(sdist: Sdist) -> bool:
    """Whether Cython has to write C code that is not in the sdist.

    Backends of projects' own often say so only when they are run. Tests, and what a build leaves
    out, do not count.
    """
    sources = {name.rpartition(".")[0] for name in sdist.names if name.endswith((".c", ".cpp"))}
    cython = {name.removesuffix(".pyx") for name in sdist.names if name.endswith(".pyx")}
    return any(not _ASIDE.search(f"/{name}") for name in cython - sources)


def needs_cffi(sdist: Sdist) -> bool:
    """Whether setup.py has modules that cffi compiles. setuptools skips them without an error if
    cffi is missing."""
    return re.search(r"\bcffi_modules\s*=", sdist.text("setup.py") or "") is not None


def is_rust(sdist: Sdist, build: BuildSystem, *, native: bool) -> bool:
    """Whether Rust code is built; ``native``: a wheel is for one platform."""
    if build.backend == "maturin" or build.backend.startswith("setuptools_rust"):
        return True
    if any(canonicalize_name(each.name) in _RUST for each in build.requires):
        return True
    if re.search(r"setuptools_rust|rust_extensions|RustExtension", sdist.text("setup.py") or ""):
        return True
    return native and any(_CARGO.fullmatch(name) for name in sdist.names)
