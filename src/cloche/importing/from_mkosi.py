"""A project of a directory of mkosi: its packages and its /etc/portage become a machine.

mkosi's own settings are taken as mkosi gives them (`mkosi --json summary`, or `$MKOSI_CONFIG` of
its scripts), and never parsed here. The project is the directory that mkosi.conf includes; its
cloche.toml is written once, and belongs to the user from then on.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any, Final

from cloche.config.atoms import atom_fault
from cloche.errors import ClocheError
from cloche.importing.folder import Read, read_folder
from cloche.importing.machine_file import MachineFile, machine_text, project_text
from cloche.importing.outcome import Omission, ProjectFile
from cloche.importing.portage_files import clean
from cloche.importing.repositories import read_repositories

PLACE: Final = "mkosi.cloche"  # what mkosi.conf includes
MACHINE: Final = "image"
FRAGMENT: Final = "mkosi"
#: Directories of mkosi that may have an ``etc/portage``; the first one counts.
TREES: Final = ("mkosi.pkgmngr", "mkosi.sandbox", "mkosi.skeleton")
CONFIGURATION: Final = "etc/portage"
PACKAGES: Final = "CLOCHE_PACKAGES"  # in the environment, as the script ``configure`` writes it
ROOT: Final = "CLOCHE_ROOT"  # there, too, as the user writes it
ROOTS: Final = ("own", "minimal")
_SEED: Final = {"debian": {"type": "debian", "suite": "bookworm"}}
_OUTPUT: Final = {"stage4": True, "portage": False}  # mkosi copies mkosi.skeleton itself
_GENTOO: Final = "/var/db/repos/gentoo"
_PROFILES: Final = "/profiles/"
_INCLUDED: Final = ("mkosi.conf", "configure", "sync")
_OF_MKOSI: Final = "Written by `cloche mkosi` from mkosi.conf and its {}: a change here is lost."
_YOURS: Final = (
    "Written by `cloche mkosi` once: change it as you like (docs/project-files.md of cloche)."
)


@dataclass(frozen=True, slots=True)
class Portage:
    """An ``/etc/portage`` of mkosi: its name, its files, and the target of its make.profile.

    ``profile`` is the target as written, which may be a path in mkosi's sandbox; ``linked`` is the
    same as a path of this host.
    """

    name: str
    read: Read
    profile: str | None
    linked: str = ""


def packages_of(config: Mapping[str, Any]) -> tuple[str, ...]:
    """The atoms and @sets of ``Packages=`` of an image. Raises ClocheError."""
    if config.get("Distribution") != "custom":
        raise ClocheError(
            f"the image's distribution is {config.get('Distribution')}",
            where="mkosi.conf",
            todo="write Distribution=custom into its section [Distribution]",
        )
    said = [*(config.get("Packages") or ()), (config.get("Environment") or {}).get(PACKAGES, "")]
    words = tuple(dict.fromkeys(" ".join(said).split()))
    for word in words:
        if not word.startswith("@") and (fault := atom_fault(word)) is not None:
            todo = "write it as Gentoo does, as Packages=sys-apps/baselayout"
            raise ClocheError(f"“{word}” is not an atom: {fault}", where="Packages=", todo=todo)
    if not words:
        todo = "name some in its section [Content], as Packages=sys-apps/baselayout"
        raise ClocheError("the image has no Packages=", where="mkosi.conf", todo=todo)
    return words


def root_of(config: Mapping[str, Any]) -> str:
    """The kind of root that the image asks for, "own" or "minimal". Raises ClocheError."""
    said = str((config.get("Environment") or {}).get(ROOT, ROOTS[0]))
    if said not in ROOTS:
        todo = f"write {' or '.join(f'{ROOT}={each}' for each in ROOTS)}, or leave it out"
        raise ClocheError(f"{ROOT}={said} is not a kind of root", where="Environment=", todo=todo)
    return said


def read_portage(directory: Path) -> Portage:
    """The ``/etc/portage`` of a directory of mkosi. Raises ClocheError."""
    for tree in TREES:
        place = directory / tree / CONFIGURATION
        if place.is_dir():
            link = place / "make.profile"
            profile = str(link.readlink()) if link.is_symlink() else None
            read = read_folder(place)
            left = [each for each in read.omissions if each.name != link.name]
            linked = posixpath.normpath(place.absolute() / (profile or ""))
            name = f"{tree}/{CONFIGURATION}"
            return Portage(name, replace(read, omissions=left), profile, linked)
    raise ClocheError(
        f"it has no {CONFIGURATION} in any of {', '.join(TREES)}",
        where=directory,
        todo=f"make {TREES[0]}/{CONFIGURATION} with a link make.profile to the image's profile",
    )


def included() -> dict[str, ProjectFile]:
    """The files that mkosi reads, which are always the same."""
    place = resources.files("cloche.importing").joinpath("mkosi_include")
    return {
        name: ProjectFile(place.joinpath(name).read_bytes(), executable=name != "mkosi.conf")
        for name in _INCLUDED
    }


def declaration(portage: Portage, directory: Path) -> ProjectFile:
    """cloche.toml: Debian as the seed, and the repositories of repos.conf, or Gentoo's own.

    Those in the directory of mkosi are named from there. Raises ClocheError.
    """
    files = [
        (f"{portage.name}/{name}", content.decode(errors="replace"))
        for name, content in sorted(portage.read.files.items())
        if name.partition("/")[0] == "repos.conf"
    ]
    tables = dict(read_repositories(files, "").tables)
    for name, table in tables.items():
        path = Path(table.get("path", "/"))
        if path.is_relative_to(directory):
            tables[name] = {**table, "path": f"../{path.relative_to(directory)}"}
    if not tables:
        there = Path(_GENTOO).is_dir()
        tables["gentoo"] = {"path": _GENTOO} if there else {"sync_type": "webrsync"}
    return ProjectFile(project_text(_YOURS, {"seeds": _SEED, "repos": tables}))


def profile_of(portage: Portage, repos: Mapping[str, Path | None]) -> str:
    """The profile of make.profile as REPO:PATH. ``repos`` are directories of repositories by name.

    A link that leads nowhere here is as good: the repository may come later. Raises ClocheError.
    """
    where = f"{portage.name}/make.profile"
    if portage.profile is None:
        todo = f"link it to the profile, as {_GENTOO}{_PROFILES}default/linux/amd64/23.0"
        raise ClocheError("there is no such link", where=where, todo=todo)
    above, found, path = portage.profile.partition(_PROFILES)
    repo = posixpath.basename(above)
    places = (above, portage.linked.partition(_PROFILES)[0])
    named = next((name for name, each in repos.items() if each and str(each) in places), repo)
    if not found or named not in repos:
        raise ClocheError(
            f"{portage.profile} is not in a repository of {PLACE}/cloche.toml",
            where=where,
            todo=f"link it to …/NAME{_PROFILES}PATH, with NAME one of {', '.join(sorted(repos))}",
        )
    directory = repos[named]
    if directory is not None and not (directory / "profiles" / path).is_dir():
        what = f"{named} has no profile {path}"
        raise ClocheError(what, where=where, todo=f"`cloche -C {PLACE} profile list {named}`")
    return f"{named}:{path.rstrip('/')}"


def machine_files(
    words: Sequence[str], root: str, portage: Portage, profile: str, seeds: Iterable[str]
) -> tuple[dict[str, ProjectFile], tuple[Omission, ...]]:
    """The machine with its fragment, sets and patches, and what cannot be carried over."""
    cleaned = clean(portage.read.files, portage.name)
    keys = {
        "seed": next(iter(seeds), "debian"),
        "root": root,
        "profile": profile,
        **({"portage": [FRAGMENT]} if cleaned.fragment else {}),
        **_named("sets", [word[1:] for word in words if word.startswith("@")]),
        **_named("packages", [word for word in words if not word.startswith("@")]),
    }
    comment = _OF_MKOSI.format(portage.name)
    text = machine_text(MachineFile(comment, keys, tables={"output": _OUTPUT}))
    files = {
        f"machines/{MACHINE}.toml": ProjectFile(text),
        **_placed(f"portage/{FRAGMENT}", cleaned.fragment),
        **_placed("sets", cleaned.sets),
        **_placed("patches", cleaned.patches),
    }
    return files, (*portage.read.omissions, *cleaned.omissions)


def _named(key: str, words: list[str]) -> dict[str, list[str]]:
    return {key: words} if words else {}


def _placed(place: str, files: Mapping[str, bytes]) -> dict[str, ProjectFile]:
    return {f"{place}/{name}": ProjectFile(content) for name, content in files.items()}
