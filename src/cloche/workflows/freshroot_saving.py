"""A kept freshroot as a machine of the project: its world file, its changes of /etc/portage."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cloche.config.atoms import is_name
from cloche.config.errors import ConfigError, Origin, unwritable
from cloche.config.fragments import KNOWN, REFUSED
from cloche.config.machine import Machine
from cloche.config.project import Project
from cloche.config.toml import dumps, loads
from cloche.errors import ClocheError
from cloche.portage.etc import REPOS
from cloche.workflows.freshroot import Ground
from cloche.workflows.freshroot_changes import LINK

#: Of keys in this order, which people read first.
_FIRST: Final = ("seed", "root", "profile", "portage", "sets", "packages")
_PROFILE: Final = "make.profile"


@dataclass(frozen=True, slots=True)
class Saved:
    """A machine's file and the files of its fragment, by path, and what could not be carried."""

    files: Mapping[Path, bytes]
    left: tuple[str, ...]


def saved(
    project: Project,
    ground: Ground,
    name: str,
    world: tuple[str, ...],
    etc: Mapping[str, bytes | None],
) -> Saved:
    """The files of the machine ``name``. Raises ConfigError where it cannot be written."""
    _check(project, name)
    fragment = project.root / "portage" / name
    kept, left = {}, []
    profile = _profile(project, etc.get(_PROFILE))
    for file, content in etc.items():
        if file == _PROFILE and profile:
            continue
        reason = _refusal(file, content)
        if reason:
            left.append(f"/etc/portage/{file}: {reason}")
        else:
            kept[fragment / file] = content or b""
    target = project.root / "machines" / f"{name}.toml"
    text = dumps(_machine(ground, name, world, profile, with_fragment=bool(kept)))
    heading = f"# Saved from a freshroot over {ground.name}.\n"
    return Saved({target: (heading + text).encode(), **kept}, tuple(left))


def _check(project: Project, name: str) -> None:
    origin = Origin(project.root / "machines" / f"{name}.toml")
    if not is_name(name):
        what = f"“{name}” is not a machine's name"
        raise ConfigError(Origin(project.root / "machines"), what, "use letters, digits, _ . + -")
    for path in (origin.file, project.root / "portage" / name):
        if os.path.lexists(path):
            raise ConfigError(Origin(path), "it is there already", "choose another name")


def _profile(project: Project, link: bytes | None) -> str | None:
    """The profile (REPO:PATH) that a link to it chooses; None if a machine cannot name it."""
    if link is None or not link.startswith(LINK):
        return None
    target = os.fsdecode(link.removeprefix(LINK))
    path = os.path.normpath(os.path.join("/etc/portage", target))  # noqa: PTH118 - of the root
    repo, found, below = path.removeprefix(f"{REPOS}/").partition("/profiles/")
    known = path.startswith(f"{REPOS}/") and found and repo in project.repos
    return f"{repo}:{below}" if known and below.isprintable() else None


def _refusal(file: str, text: bytes | None) -> str:
    """Why a file cannot be part of a fragment; empty if it can."""
    top = file.partition("/")[0]
    if text is None:
        return "it was removed: take the lines out of the fragment that has it"
    if not file.isprintable():
        return "its name is not printable UTF-8"
    if file == _PROFILE:
        return "it is not a profile of a repository that the project declares"
    if top in REFUSED:
        return REFUSED[top]
    if text.startswith(LINK):
        return "it is a symbolic link"
    if top not in KNOWN:
        return "Portage reads no file of this name"
    return ""


def _machine(
    ground: Ground,
    name: str,
    world: tuple[str, ...],
    profile: str | None,
    *,
    with_fragment: bool,
) -> dict[str, Any]:
    machine = ground.machine
    data: dict[str, Any] = {}
    if ground.declared:
        data = loads(machine.file.read_text(encoding="utf-8"))
    data["seed"] = machine.seed
    data["profile"] = profile or f"{machine.profile.repo}:{machine.profile.path}"
    data["portage"] = [*(each.name for each in machine.fragments), *([name] * with_fragment)]
    data["packages"] = list(dict.fromkeys([*data.get("packages", ()), *_new(machine, world)]))
    ordered: dict[str, Any] = {key: data[key] for key in _FIRST if key in data}
    return {**ordered, **data}


def _new(machine: Machine, world: tuple[str, ...]) -> Iterator[str]:
    """Atoms of the world file that the machine does not name already, in its sets or itself."""
    there = {each.atom for each in (*machine.atoms, *machine.packages)}
    return (atom for atom in world if atom not in there)


def write(files: Mapping[Path, bytes]) -> None:
    """Write new files, the machine's last. Raises ConfigError."""
    for path, text in reversed(list(files.items())):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("xb") as file:
                file.write(text)
        except OSError as error:
            raise unwritable(path, str(error.strerror)) from error


def nothing_to_save(name: str) -> ClocheError:
    """The error about a root whose world file names nothing."""
    return ClocheError(
        "its world file names no package",
        where=name,
        todo=f"emerge something in it first: `cloche freshroot {name}`",
    )
