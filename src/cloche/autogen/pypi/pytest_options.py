"""Options that a project always gives to pytest (``addopts``), and the plugins that they need.

Without these plugins pytest fails before it runs a test, so even those are required that ebuilds
leave out otherwise, such as the plugin for coverage.
"""

from __future__ import annotations

import configparser
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from cloche.autogen.pypi.archive import Sdist

_OPTIONS = {
    "pytest-benchmark": r"--benchmark-[a-z-]+",
    "pytest-cov": r"--(?:no-)?cov(?:-[a-z-]+)?",
    "pytest-mypy": r"--mypy(?:-[a-z-]+)?",
    "pytest-randomly": r"--randomly-[a-z-]+",
    "pytest-xdist": r"-n(?:\d+|auto|logical)?|--(?:numprocesses|maxprocesses|dist|tx)",
}
# The files and sections that pytest reads, in its order.
_SECTIONS = (("pytest.ini", "pytest"), ("tox.ini", "pytest"), ("setup.cfg", "tool:pytest"))


@dataclass(frozen=True, slots=True)
class Plugins:
    """Projects of plugins: ``used`` have an option in addopts, ``loaded`` are named there (``-p``).

    An ebuild must not load the latter: pytest refuses to load a plugin twice.
    """

    used: frozenset[str]
    loaded: frozenset[str]


def plugins_of_options(sdist: Sdist, pyproject: Mapping[str, Any]) -> Plugins:
    """The plugins that the project's options use or load."""
    words = _addopts(sdist, pyproject).split()
    options = {word.partition("=")[0] for word in words}
    used = {n for n, known in _OPTIONS.items() if any(re.fullmatch(known, o) for o in options)}
    return Plugins(frozenset(used), frozenset(_plugin(name) for name in _loaded(words)))


def _addopts(sdist: Sdist, pyproject: Mapping[str, Any]) -> str:
    """The options, separated by spaces."""
    (first, *others) = _SECTIONS
    if sdist.text(first[0]) is not None:
        return _of_section(sdist, *first) or ""
    tool = pyproject.get("tool")
    table = tool.get("pytest") if isinstance(tool, dict) else None
    if isinstance(table, dict):
        inner = table.get("ini_options")
        found = inner.get("addopts") if isinstance(inner, dict) else table.get("addopts")
        return " ".join(map(str, found)) if isinstance(found, list) else str(found or "")
    texts = (_of_section(sdist, *each) for each in others)
    return next((text for text in texts if text is not None), "")


def _of_section(sdist: Sdist, file: str, section: str) -> str | None:
    """The options in a section of an ini file; None if it has no such section."""
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(sdist.text(file) or "")
    except configparser.Error:
        return None
    return parser.get(section, "addopts", fallback="") if parser.has_section(section) else None


def _loaded(words: list[str]) -> Iterator[str]:
    """The names after ``-p``; ``no:NAME`` is not loaded."""
    for word, following in pairwise([*words, ""]):
        name = following if word == "-p" else word.removeprefix("-p") if word[:2] == "-p" else ""
        if name and not name.startswith("no:"):
            yield name


def _plugin(name: str) -> str:
    """The project of a plugin, from the name of the plugin or of its module."""
    short = name.partition(".")[0].removeprefix("pytest_")
    return f"pytest-{short.replace('_', '-')}"
