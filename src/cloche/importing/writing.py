"""Writes an imported project, after the project was read as every command of cloche reads it."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from cloche.config.errors import ConfigError, Origin
from cloche.config.fragments import machine_files
from cloche.config.project import load_project
from cloche.config.template import template
from cloche.errors import ClocheError, unwritable
from cloche.importing.outcome import Imported, ProjectFile
from cloche.importing.readmes import readmes
from cloche.importing.report import FILE, import_file

IGNORED = ".gitignore"
_ADVICE = "choose a directory that you may write to"


def check_target(directory: Path) -> None:
    """See that a project may be written there. Raises `ConfigError`."""
    try:
        taken = directory.is_symlink() or directory.exists()
        taken = taken and (not directory.is_dir() or any(directory.iterdir()))
    except OSError as error:
        raise unwritable(directory, error, _ADVICE) from error
    if taken:
        raise ConfigError(
            Origin(directory), "not an empty directory", "name a new or an empty one with -o"
        )


def write(imported: Imported, directory: Path) -> None:
    """Write the project into a new or an empty directory. Raises ClocheError."""
    check_target(directory)
    directory = directory.absolute()
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        room = Path(tempfile.mkdtemp(prefix=f".{directory.name}.", dir=directory.parent))
    except OSError as error:
        raise unwritable(directory, error, _ADVICE) from error
    try:
        _write_all(imported, room)
        _check(imported, room)
        directory.mkdir(exist_ok=True)  # it may be somebody's current directory
        for child in room.iterdir():
            child.rename(directory / child.name)
    except OSError as error:
        raise unwritable(directory, error, _ADVICE) from error
    finally:
        shutil.rmtree(room, ignore_errors=True)


def check(imported: Imported) -> None:
    """See that the project can be read, without keeping it. Raises ClocheError."""
    with tempfile.TemporaryDirectory(prefix="cloche-import-") as room:
        _write_all(imported, Path(room))
        _check(imported, Path(room))


def all_files(imported: Imported) -> dict[str, ProjectFile]:
    """Every file that is written, by its name in the project, sorted."""
    ignored = {IGNORED: ProjectFile(template()[IGNORED])}  # as in a project of `cloche init`
    told = {**readmes(imported), FILE: ProjectFile(import_file(imported))}
    files = {**ignored, **imported.files, **told}
    return dict(sorted(files.items()))


def _write_all(imported: Imported, room: Path) -> None:
    for name, file in all_files(imported).items():
        path = room / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if file.link is not None:
            path.symlink_to(file.link)
            continue
        with path.open("xb") as opened:
            opened.write(file.content)
        path.chmod(0o755 if file.executable else 0o644)


def _check(imported: Imported, room: Path) -> None:
    """Read the project as commands do. Raises ClocheError with the path in the project."""
    try:
        project = load_project(room)
        for name in imported.machines:
            machine_files(project.machine(name))
    except ConfigError as error:
        where = (error.where or "").replace(f"{room.resolve()}/", "").replace(f"{room}/", "")
        todo = error.todo or "correct it at the source"
        what = f"cannot be a project: {error.what}"
        raise ClocheError(what, where=f"{imported.source} ({where})", todo=todo) from error
