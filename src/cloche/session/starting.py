"""Starting a project: the template, with repositories that the user has and a root that suits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cloche.building.own_root import C_LIBRARIES
from cloche.config import toml
from cloche.config.atoms import name_of
from cloche.config.errors import Origin, unknown_name
from cloche.config.template import init, template
from cloche.errors import ClocheError
from cloche.plan.toolchain import LAYOUT
from cloche.portage.profiles import system_atoms, variable
from cloche.portage.repository import (
    Repository,
    RepositoryError,
    check_profile,
    found_repository,
)
from cloche.seeds.arch import host_arch

LOCAL = "local"  # the template's own repository
_PROFILE = f"{LOCAL}:default"
_PROJECT, _MACHINE = "cloche.toml", "machines/first.toml"
_LIBC = ("virtual/libc", *C_LIBRARIES)


@dataclass(frozen=True, slots=True)
class Started:
    """A new project: the ``root`` of its machine, "own" or "seed", and why."""

    root: str
    why: str


def start(directory: Path, repos: Sequence[Path], profile: str | None) -> Started:
    """Write a project that declares these repositories; its machine has the profile REPO:PATH.

    The machine gets a root of its own if @system of that profile has what this needs. Raises
    ClocheError; nothing is written then, unless writing fails.
    """
    found = _read(repos)
    profile = profile or _PROFILE
    started = _root(found, profile)
    files = template()
    changed = {
        _PROJECT: _with_repositories(files[_PROJECT], found),
        _MACHINE: _with_root(files[_MACHINE], profile, started),
    }
    init(directory, changed)
    return started


def _read(paths: Sequence[Path]) -> Mapping[str, Repository]:
    """Repositories by their own names, with all their masters."""
    found: dict[str, Repository] = {}
    for path in paths:
        repo = found_repository(path.absolute())
        if repo.name == LOCAL or repo.name in found:
            raise RepositoryError(
                Origin(path), f"another repository is called “{repo.name}”", "leave one out"
            )
        found[repo.name] = repo
    for repo in found.values():
        for master in set(repo.masters or ()) - found.keys():
            raise RepositoryError(
                Origin(repo.path),
                f"its master “{master}” is not given",
                "add `--repo` with the path of that repository",
            )
    return found


def _root(repos: Mapping[str, Repository], profile: str) -> Started:
    """Which root the machine gets. Raises ClocheError for a profile that is not there."""
    name, colon, path = profile.partition(":")
    if not colon or not path:
        raise ClocheError(f"“{profile}” is not a profile", todo="write REPO:PATH")
    if profile == _PROFILE:
        return Started("seed", f"@system of {profile} is empty")
    if name not in repos:
        raise unknown_name(Origin(Path("--profile")), "repository", name, repos)
    check_profile(repos[name], path, Origin(repos[name].path))
    system = {name_of(atom) for atom in system_atoms(repos, name, path)}
    there = {
        cp
        for cp in (*C_LIBRARIES, LAYOUT)
        if any((repo.path / cp).is_dir() for repo in repos.values())
    }
    arch, libc = (variable(repos, name, path, key) for key in ("ARCH", "ELIBC"))
    if arch not in ("", host_arch().gentoo):
        why = f"{profile} is for {arch}, and the seed for {host_arch().gentoo}: that needs `chost`"
        return Started("seed", why)
    if libc not in ("", "glibc"):
        return Started("seed", f"{profile} is for {libc}, and the seed's compiler for glibc")
    lacking = []
    if system.isdisjoint(_LIBC) or there.isdisjoint(C_LIBRARIES):
        lacking.append("C library")
    if LAYOUT not in system & there:
        lacking.append(LAYOUT)
    if lacking:
        return Started("seed", f"@system of {profile} has no {' and no '.join(lacking)}")
    return Started("own", f"@system of {profile} has a C library and {LAYOUT}")


def _with_repositories(text: bytes, repos: Mapping[str, Repository]) -> bytes:
    """cloche.toml with the repositories declared."""
    tables = {name: {"path": str(repo.path)} for name, repo in repos.items()}
    return text + f"\n{toml.dumps({'repos': tables})}".encode() if tables else text


def _with_root(text: bytes, profile: str, started: Started) -> bytes:
    """The machine's file with its profile and its root."""
    lines = {
        'root = "seed"': f'# Here: {started.why}.\nroot = "{started.root}"',
        f'profile = "{_PROFILE}"     #': f'profile = "{profile}"  #',
    }
    if started.root == "own":
        lines['sets = ["basics"]'] = 'sets = ["basics", "system"]'
    whole = text.decode()
    for old, new in lines.items():
        whole = whole.replace(f"\n{old}", f"\n{new}")
    return whole.encode()
