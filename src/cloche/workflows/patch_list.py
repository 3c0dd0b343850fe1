"""`cloche patch list` and `drop`: the patches of a project, and what they are used for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cloche.config.errors import nearest, unwritable
from cloche.config.fragments import machine_sources
from cloche.config.project import Project
from cloche.errors import ClocheError
from cloche.portage.cpv import split_cpv
from cloche.portage.view import user_patch_files
from cloche.session.session import Session
from cloche.workflows.patch_headers import subject_of
from cloche.workflows.patch_names import ENDS
from cloche.workflows.patch_package import planned

_DEPTH = 4  # patches/CATEGORY/STEM/NAME


@dataclass(frozen=True, slots=True)
class Row:
    """A patch: its path in the project, the directory's package, and who builds with it."""

    patch: str
    package: str
    subject: str
    versions: tuple[str, ...] = ()
    machines: tuple[str, ...] = ()


def patch_files(project: Project) -> dict[Path, str]:
    """All patches that machines of a project have, by their paths, with those below /etc/portage.

    Raises ConfigError.
    """
    found: dict[Path, str] = {}
    for machine in project.machines:
        for name, path in machine_sources(project.machine(machine)).items():
            parts = name.split("/")
            if len(parts) == _DEPTH and parts[0] == "patches" and name.endswith(ENDS):
                found[path] = name
    return dict(sorted(found.items()))


def rows(session: Session) -> tuple[tuple[Row, ...], Mapping[str, ClocheError]]:
    """All patches, and the machines of which it is not known what they build, with the reasons."""
    project = session.project
    versions: dict[Path, set[str]] = {path: set() for path in patch_files(project)}
    machines: dict[Path, set[str]] = {path: set() for path in versions}
    unknown: dict[str, ClocheError] = {}
    for name in project.machines if versions else ():
        sources = machine_sources(project.machine(name))
        try:
            with planned(session, name, ()) as builder:
                packages, etc = builder.plan.packages, builder.context.inputs.etc
        except ClocheError as error:
            unknown[name] = error
            continue
        for package in packages:
            for file in user_patch_files(etc, split_cpv(package.cpv), package.slot):
                versions[sources[file]].add(package.cpv)
                machines[sources[file]].add(name)
    found = patch_files(project)
    return (
        tuple(
            Row(
                shown(project, path),
                package_of(found[path]),
                _subject(path),
                tuple(sorted(versions[path])),
                tuple(sorted(machines[path])),
            )
            for path in found
        ),
        unknown,
    )


def package_of(name: str) -> str:
    """CATEGORY/STEM of a patch below /etc/portage, as its directory is called."""
    _, category, stem, _ = name.split("/")
    return f"{category}/{stem}"


def shown(project: Project, path: Path) -> str:
    """A path of the project, as short as it can be."""
    return str(path.relative_to(project.root)) if path.is_relative_to(project.root) else str(path)


def _subject(path: Path) -> str:
    content = path.read_bytes()
    return subject_of(content) if content else "disables the patch of this name"


def meant(project: Project, words: Sequence[str], here: Path) -> tuple[Path, ...]:
    """The patches that are meant by names of files, or by paths. Raises ClocheError."""
    found = patch_files(project)
    chosen: dict[Path, None] = {}
    for word in words:
        exact = {(here / word).absolute(), (project.root / word).absolute()}
        matches = [path for path in found if path in exact] or [
            path
            for path, name in found.items()
            if word in (path.name, f"{package_of(name)}/{path.name}")
        ]
        if not matches:
            close = nearest(word, [path.name for path in found])
            todo = f"did you mean “{close}”?" if close else "see `cloche patch list`"
            raise ClocheError(f"no patch is called “{word}”", todo=todo)
        if len(matches) > 1:
            todo = "name one of " + ", ".join(shown(project, path) for path in matches)
            raise ClocheError(f"“{word}” is the name of {len(matches)} patches", todo=todo)
        chosen[matches[0]] = None
    return tuple(chosen)


def drop(paths: Sequence[Path]) -> None:
    """Remove patches, and directories that are empty then. Raises ConfigError."""
    for path in paths:
        try:
            path.unlink()
            for above in path.parents[: _DEPTH - 1]:
                if any(above.iterdir()):
                    break
                above.rmdir()
        except OSError as error:
            raise unwritable(path, error.strerror or str(error)) from error
