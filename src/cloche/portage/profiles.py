"""What the files of a profile and its parents say, for what is decided before there is a seed.

Source: PMS 5.2 (parent, make.defaults, packages, packages.build), portage(5) (``REPO:PATH`` in
``parent``). Portage itself decides when a machine is resolved.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from cloche.config.atoms import name_of
from cloche.config.errors import ConfigError, Origin
from cloche.config.files import read_text
from cloche.portage.repository import Repository

_DEEPEST = 64  # parents of parents
_MOST = 1000  # parents, each as often as it is named


def system_atoms(repos: Mapping[str, Repository], repo: str, path: str) -> tuple[str, ...]:
    """The atoms of @system of the profile REPO:PATH.

    What is not there, or outside of a repository's ``profiles/``, has none. Raises ConfigError for
    a file that cannot be read.
    """
    lines = _stacked(repos, repo, path, "packages")
    return tuple(line.removeprefix("*") for line in lines if line.startswith("*"))


def build_atoms(repos: Mapping[str, Repository], repo: str, path: str) -> tuple[str, ...]:
    """The atoms of ``packages.build``, of which catalyst makes a stage1; raises as above.

    Of a package that ``packages`` has, too, they are in the words of that file.
    """
    lines = (line.removeprefix("*") for line in _stacked(repos, repo, path, "packages"))
    words = {name_of(line): line for line in lines}
    return tuple(words.get(each, each) for each in _stacked(repos, repo, path, "packages.build"))


def _stacked(repos: Mapping[str, Repository], repo: str, path: str, file: str) -> Iterable[str]:
    """The lines of a file of a profile and its parents; ``-LINE`` takes an earlier one away."""
    found: dict[str, None] = {}
    for owner, directory in stacked_profiles(repos, repo, path):
        for line in _lines(repos[owner], directory / file):
            if line == "-*":
                found.clear()
            elif line.startswith("-"):
                found.pop(line.removeprefix("-"), None)
            else:
                found[line] = None
    return found


def variable(repos: Mapping[str, Repository], repo: str, path: str, name: str) -> str:
    """A variable of make.defaults with a plain value; empty if it is not set. Raises as above."""
    found = ""
    for owner, directory in stacked_profiles(repos, repo, path):
        for line in _lines(repos[owner], directory / "make.defaults"):
            key, equals, value = line.partition("=")
            if equals and key == name:
                found = value.strip("\"'")
    return found


def stacked_profiles(
    repos: Mapping[str, Repository], repo: str, path: str
) -> Iterator[tuple[str, Path]]:
    """A profile after all of its parents. Raises ConfigError if these do not end."""
    for number, found in enumerate(_stack(repos, repo, Path(path), 0)):
        if number == _MOST:
            what = f"it has more than {_MOST} parents"
            raise ConfigError(Origin(found[1]), what, "look for a circle of `parent` files")
        yield found


def _stack(
    repos: Mapping[str, Repository], repo: str, path: Path, depth: int
) -> Iterator[tuple[str, Path]]:
    """A profile after its parents: the repository, and the directory there."""
    if repo not in repos or depth > _DEEPEST:
        return
    top = (repos[repo].path / "profiles").resolve()
    directory = (top / path).resolve()
    if not directory.is_relative_to(top) or not directory.is_dir():
        return
    for line in _lines(repos[repo], directory / "parent"):
        other, colon, below = line.partition(":")
        if colon:
            yield from _stack(repos, other or repo, Path(below), depth + 1)
        else:
            yield from _stack(repos, repo, directory.relative_to(top) / line, depth + 1)
    yield repo, directory


def _lines(repo: Repository, file: Path) -> Iterator[str]:
    """The lines of a file of a profile, without comments; none if it is not there."""
    if file.is_file():
        for line in read_text(file, repo.path).splitlines():
            if words := line.partition("#")[0].strip():
                yield words
