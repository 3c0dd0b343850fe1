"""``autogen.toml`` as a list of packages: what is wanted of each. Raises `ConfigError`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from packaging.utils import canonicalize_name

from cloche.autogen.errors import RefusedError
from cloche.autogen.github import answers
from cloche.autogen.licences import checked
from cloche.autogen.pypi import names
from cloche.autogen.settings import KEYS, OF_RUNS, Settings, settings_of
from cloche.config import table as tables
from cloche.config.atoms import CATEGORY, PACKAGE, VERSION
from cloche.config.errors import ConfigError, Origin, wrong_type
from cloche.config.table import Table

Kind = Literal["pypi", "github"]
NEWEST = "newest"
_SERIES = re.compile(r"\d+(?:\.\d+)*")
_OF_ALL = (*KEYS, "license", "prereleases", "versions")
_KNOWN: dict[Kind, tuple[str, ...]] = {
    "pypi": (*_OF_ALL, "deps"),
    "github": (*_OF_ALL, "matching", "name", "tags"),
}


@dataclass(frozen=True, slots=True)
class Entry:
    """A package of the list.

    ``versions`` are `NEWEST` and series (``1.2``: the newest of 1.2 and 1.2.*). ``category`` and
    ``pn`` are "" where nothing is said.
    """

    kind: Kind
    name: str
    settings: Settings
    versions: tuple[str, ...] = (NEWEST,)
    prereleases: bool = False
    license: str | None = None
    deps: bool = False
    category: str = ""
    pn: str = ""
    tags: bool = False
    matching: str = ""

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}"


@dataclass(frozen=True, slots=True)
class Listing:
    """The whole file; its paths are absolute."""

    entries: tuple[Entry, ...]
    repository: Path | None = None
    repos: tuple[Path, ...] = ()
    names: Path | None = None


def read_listing(path: Path) -> Listing:
    """Read and check the file. Raises `ConfigError`."""
    table = tables.load(path, path.parent)
    table.only((*KEYS, *OF_RUNS))
    shared = settings_of(table, Settings())
    entries = (*_entries(table, "pypi", shared), *_entries(table, "github", shared))
    if not entries:
        todo = 'add a line such as [pypi.rich] or [github."larry/hello"]'
        raise ConfigError(Origin(path), "it lists no packages", todo)
    repository = table.optional("repository", str)
    given = table.optional("names", str)
    return Listing(
        entries,
        None if repository is None else _place(table, repository, table.origin("repository")),
        tuple(_place(table, text, origin) for text, origin in table.strings("repos")),
        None if given is None else _place(table, given, table.origin("names"), Path.is_file),
    )


def _place(
    table: Table, text: str, origin: Origin, there: Callable[[Path], bool] = Path.is_dir
) -> Path:
    """A path, relative to the file, that must be there."""
    path = table.file.absolute().parent / Path(text).expanduser()
    if not there(path):
        raise ConfigError(origin, f"{path} is not there", "correct the path")
    return path


def _entries(outer: Table, kind: Kind, shared: Settings) -> Iterator[Entry]:
    seen: dict[str, str] = {}
    for name, table in outer.tables(kind).items():
        table.only(_KNOWN[kind])
        known = _checked(kind, name, table.origin())
        if known in seen:
            what = f"“{name}” is the same package as “{seen[known]}”"
            raise ConfigError(table.origin(), what, "remove one of the two")
        seen[known] = name
        yield _entry(kind, name, table, shared)


def _checked(kind: Kind, name: str, origin: Origin) -> str:
    """The name of a package as its index compares it."""
    try:
        if kind == "pypi":
            names.checked(name)
            return canonicalize_name(name)
        if answers.wanted(name).tag is None:
            return str(answers.wanted(name)).lower()
    except RefusedError as error:
        raise ConfigError(origin, error.what, error.todo) from error
    todo = 'remove it; `versions = ["1.2"]` or `matching` choose a version'
    raise ConfigError(origin, f"“{name}” names a tag", todo)


def _entry(kind: Kind, name: str, table: Table, shared: Settings) -> Entry:
    settings = settings_of(table, shared)
    category, pn = table.get("category", str, ""), table.get("name", str, "")
    if "category" in table.data and not re.fullmatch(CATEGORY, category):
        raise wrong_type(table.origin("category"), "category", "a category", f"“{category}”")
    if "name" in table.data and (
        not re.fullmatch(PACKAGE, pn) or re.fullmatch(rf".*-{VERSION}", pn)
    ):
        raise wrong_type(table.origin("name"), "name", "a package's name", f"“{pn}”")
    matching = table.get("matching", str, "")
    try:
        re.compile(matching)
    except re.error as error:
        what = f"“{matching}” is not a regular expression: {error}"
        raise ConfigError(table.origin("matching"), what) from error
    return Entry(
        kind,
        name,
        settings,
        tuple(_versions(table)),
        table.get("prereleases", bool, False),
        _licence(table),
        table.get("deps", bool, False),
        category,
        pn,
        table.get("tags", bool, False),
        matching,
    )


def _licence(table: Table) -> str | None:
    given = table.optional("license", str)
    try:
        return None if given is None else checked(given)
    except RefusedError as error:
        raise ConfigError(table.origin("license"), error.what, error.todo) from error


def _versions(table: Table) -> Iterator[str]:
    """`NEWEST` and series, each once, in their order."""
    listed = table.strings("versions") if "versions" in table.data else ()
    for text, origin in listed:
        if text != NEWEST and not _SERIES.fullmatch(text):
            expected = f"“{NEWEST}” or series such as “1.2”"
            raise wrong_type(origin, "versions", expected, f"“{text}”")
    yield from dict.fromkeys(text for text, _ in listed) or (NEWEST,)
