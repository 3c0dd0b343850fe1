"""What the configured ebuild repositories have: packages of upstream's, targets, licence names."""

from __future__ import annotations

import configparser
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

from packaging.utils import canonicalize_name

from cloche.autogen.licences import COMMON, read_mapping
from cloche.autogen.repository import versions_of
from cloche.config.errors import nearest

_REMOTE = re.compile(r'<remote-id\s+type="([\w-]+)"\s*>\s*([^<\s]+)\s*</remote-id>')
_IUSE = re.compile(r'^\s*IUSE\+?="([^"]*)"', re.MULTILINE)
_VERSION = re.compile(r"-\d[^-]*(?:-r\d+)?$")
_INHERIT = re.compile(r"^[ \t]*inherit[ \t]+([^#\n]*)", re.MULTILINE)
_HOME = "dev-python"

Targets = Literal["each", "one", "none"]
"""Whether a package is built for each of the user's Python targets (python-r1, so that
``${PYTHON_USEDEP}`` can be met), for one (python-single-r1), or is not of Python."""


@dataclass
class Trees:
    """Ebuild repositories, the most important first."""

    places: Sequence[Path]
    _found: dict[str, str | None] = field(default_factory=dict)
    _flags: dict[str, frozenset[str]] = field(default_factory=dict)
    _targets: dict[str, Targets] = field(default_factory=dict)
    _cached: dict[Path, Mapping[str, Sequence[Path]]] = field(default_factory=dict)

    def package_of(self, project: str) -> str | None:
        """``category/pn`` of a Python project; None if no repository has it.

        dev-python is looked at first, then what metadata.xml of any package says.
        """
        name = canonicalize_name(project)
        if name not in self._found:
            self._found[name] = self._by_name.get(name) or self.with_remote_id("pypi", name)
        return self._found[name]

    def with_remote_id(self, kind: str, name: str) -> str | None:
        """``category/pn`` whose metadata.xml has an id of upstream's (GLEP 68)."""
        return self._by_remote_id.get((kind, _compared(kind, name)))

    def wrote(self, cp: str, remote_ids: Iterable[tuple[str, str]]) -> None:
        """Take note of a package that is new in a repository."""
        category, _, pn = cp.partition("/")
        if category == _HOME:
            self._by_name[canonicalize_name(pn)] = cp
        for kind, name in remote_ids:
            self._by_remote_id[kind, _compared(kind, name)] = cp
        self._found.clear()
        self._flags.pop(cp, None)
        self._targets.pop(cp, None)

    @cached_property
    def _by_name(self) -> dict[str, str]:
        """Packages of dev-python, whose names are those of the index (Gentoo's Python guide)."""
        found: dict[str, str] = {}
        for place in reversed(self.places):
            for directory in (place / _HOME).glob("*/"):
                if any(directory.glob("*.ebuild")):
                    found[canonicalize_name(directory.name)] = f"{_HOME}/{directory.name}"
        return found

    @cached_property
    def _by_remote_id(self) -> dict[tuple[str, str], str]:
        found: dict[tuple[str, str], str] = {}
        for place in reversed(self.places):
            for path in sorted(place.glob("*/*/metadata.xml"), reverse=True):
                cp = f"{path.parent.parent.name}/{path.parent.name}"
                text = path.read_text(encoding="utf-8", errors="replace")
                for kind, name in _REMOTE.findall(text):
                    found[kind, _compared(kind, name)] = cp
        return found

    def near(self, project: str) -> str | None:
        """The most similar name of a project that a repository has."""
        return nearest(canonicalize_name(project), self._by_name)

    def versions(self, cp: str) -> tuple[str, ...]:
        """The versions of a package, without revisions, live ebuilds left out."""
        found = {
            version.partition("-r")[0] for each in self.places for version in versions_of(each, cp)
        }
        return tuple(sorted(version for version in found if not version.startswith("9999")))

    def flags(self, cp: str) -> frozenset[str]:
        """USE flags that any ebuild of a package has, by its cache or its own IUSE."""
        if cp not in self._flags:
            words = (word for text in self._iuse(cp) for word in text.split() if "$" not in word)
            self._flags[cp] = frozenset(word.lstrip("+-") for word in words)
        return self._flags[cp]

    def targets_of(self, cp: str) -> Targets:
        """How the newest ebuild of a package is built for Python: by its cache, else its text.

        An ebuild of dev-python without a cache may have its eclass through another one.
        """
        if cp not in self._targets:
            self._targets[cp] = self._targets_of(cp)
        return self._targets[cp]

    def _targets_of(self, cp: str) -> Targets:
        category, _, pn = cp.partition("/")
        for place in self.places:
            listed = versions_of(place, cp)
            final = [each for each in listed if not each.startswith("9999")] or listed
            if not final:
                continue
            cached = _read(place / "metadata/md5-cache" / category / f"{pn}-{final[-1]}")
            if cached is not None:
                return _targets_of_cache(cached)
            text = _read(place / cp / f"{pn}-{final[-1]}.ebuild") or ""
            return _targets_of_ebuild(text, unknown="each" if category == _HOME else "none")
        return "none"

    def _iuse(self, cp: str) -> Iterator[str]:
        category, _, pn = cp.partition("/")
        for place in self.places:
            for path in self._entries(place / "metadata/md5-cache" / category).get(pn, ()):
                lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
                yield from (line[5:] for line in lines if line.startswith("IUSE="))
            for path in (place / cp).glob("*.ebuild"):
                yield from _IUSE.findall(path.read_text(encoding="utf-8", errors="replace"))

    def _entries(self, cache: Path) -> Mapping[str, Sequence[Path]]:
        """The entries of a category's cache, which may be thousands, by the package's name."""
        if cache not in self._cached:
            found: dict[str, list[Path]] = {}
            for path in cache.glob("*-[0-9]*"):
                found.setdefault(_VERSION.sub("", path.name), []).append(path)
            self._cached[cache] = found
        return self._cached[cache]

    @cached_property
    def licences(self) -> Mapping[str, str]:
        """The mapping of SPDX names of the first repository that has one. Raises `RefusedError`."""
        for place in self.places:
            path = place / "metadata/license-mapping.conf"
            if path.is_file():
                return read_mapping(path.read_text(encoding="utf-8", errors="replace"))
        return COMMON

    def described(self, name: str) -> str:
        """The first repository's ``profiles/desc/NAME.desc``; empty if there is none."""
        for place in self.places:
            path = place / f"profiles/desc/{name}.desc"
            if path.is_file():
                return path.read_text(encoding="utf-8", errors="replace")
        return ""


def _compared(kind: str, name: str) -> str:
    """An id of upstream's in the form in which equal ones are equal."""
    return canonicalize_name(name) if kind == "pypi" else name.lower()


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else None


def _targets_of_cache(text: str) -> Targets:
    iuse = re.search(r"^IUSE=(.*)$", text, re.MULTILINE)
    flags = iuse[1] if iuse else ""
    if "python_targets_" in flags:
        return "each"
    return "one" if "python_single_target_" in flags else "none"


def _targets_of_ebuild(text: str, unknown: Targets) -> Targets:
    plain = text.replace("\\\n", " ")
    inherited = {w for line in _INHERIT.findall(plain) for w in line.split()}
    single = re.search(r"^[ \t]*DISTUTILS_SINGLE_IMPL=", plain, re.MULTILINE)
    if "python-single-r1" in inherited or (single and "distutils-r1" in inherited):
        return "one"
    if inherited & {"distutils-r1", "python-r1"}:
        return "each"
    return unknown


def places_of_portage(conf: Path) -> tuple[Path, ...]:
    """The repositories of a ``repos.conf`` (portage(5)), a file or a directory of files.

    Those of a higher priority come first. One that cannot be read has none.
    """
    files = sorted(conf.glob("*.conf")) if conf.is_dir() else [conf]
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read(files, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError):
        return ()
    found = [
        (-parser.getint(name, "priority", fallback=0), Path(parser.get(name, "location")))
        for name in parser.sections()
        if parser.has_option(name, "location")
    ]
    return tuple(place for _, place in sorted(found) if place.is_dir())
