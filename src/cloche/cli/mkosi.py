"""`cloche mkosi`: Gentoo for a mkosi.conf with Distribution=custom."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Any

import click

from cloche.cli.options import Options, opened_session, say
from cloche.cli.seed import make_seed
from cloche.cli.showing import Shown, opened_display, progress_options
from cloche.cli.terminable import terminable
from cloche.config.project import Project, load_project
from cloche.errors import ClocheError, Exit, unwritable
from cloche.importing.from_mkosi import (
    MACHINE,
    PLACE,
    declaration,
    included,
    machine_files,
    packages_of,
    profile_of,
    read_portage,
    root_of,
)
from cloche.importing.outcome import ProjectFile
from cloche.session.inputs import SeedOptions
from cloche.workflows.base_tree import is_current, lay_out

CONFIG = "MKOSI_CONFIG"  # what mkosi's scripts have: a file with the image's settings
WRITABLE = "choose a directory that you may write to"


@click.command(
    epilog="""\b
Examples:
  cloche mkosi
  cloche mkosi ~/images/router
  cloche mkosi --check ~/images/router
"""
)
@click.argument(
    "directory",
    default=".",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
)
@click.option("--check", is_flag=True, help="Only check that the base tree is up to date.")
@progress_options
@click.pass_obj
def mkosi(options: Options, directory: Path, check: bool, progress: str, verbose: bool) -> None:
    """Build the base tree of mkosi's image in DIRECTORY out of Gentoo packages.

    DIRECTORY has a mkosi.conf with Distribution=custom, whose Packages= are atoms and @sets, and an
    etc/portage in mkosi.pkgmngr, mkosi.sandbox or mkosi.skeleton with a link make.profile. The
    result is DIRECTORY/mkosi.cloche. With `Include=mkosi.cloche` in section [Include] of mkosi.conf
    mkosi uses it, and calls this command by itself where it runs as root.
    """
    place = directory.absolute() / PLACE
    _declare(directory, place)
    if check:
        _check(load_project(place), directory)
        return
    _build(replace(options, directory=place), load_project(place), progress, verbose=verbose)


def _declare(directory: Path, place: Path) -> None:
    """Write the project of an image of mkosi. Raises ClocheError.

    What mkosi.conf includes is there in any case: without it mkosi gives no settings.
    """
    _write(place, included())
    settings = _settings(directory)
    words, root = packages_of(settings), root_of(settings)
    portage = read_portage(directory)
    if not (place / "cloche.toml").exists():
        _write(place, {"cloche.toml": declaration(portage, place.parent)})
    project = load_project(place)
    repos = {name: repo.path for name, repo in project.repos.items()}
    profile = profile_of(portage, repos)
    files, omissions = machine_files(words, root, portage, profile, project.seeds)
    _write(place, files, alone=("machines", "portage", "sets", "patches"))
    for omission in omissions:
        say(f"not carried over: {omission}")


def _settings(directory: Path) -> Mapping[str, Any]:
    """The settings of the last image, as mkosi gives them. Raises ClocheError."""
    if file := os.environ.get(CONFIG):
        try:
            text = Path(file).read_text()
        except (OSError, UnicodeError) as error:
            todo = f"unset {CONFIG} outside of mkosi's scripts"
            why = getattr(error, "strerror", None) or "not UTF-8"
            raise ClocheError(
                f"cannot be read: {why}", where=f"{CONFIG}={file}", todo=todo
            ) from error
    else:
        program = shutil.which("mkosi")
        if program is None:
            todo = "install mkosi 24 or later, or run this in its sync script"
            raise ClocheError("there is no mkosi in PATH", todo=todo, status=Exit.HOST)
        command = [program, "--directory", os.fspath(directory), "--json", "summary"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ClocheError("mkosi cannot read it", where=directory, detail=done.stderr)
        text = done.stdout
    try:
        found = json.loads(text)
        settings = found["Images"][-1] if "Images" in found else found
        return dict(settings)
    except (ValueError, LookupError, TypeError) as error:
        raise ClocheError("mkosi gave settings that cannot be read", where=directory) from error


def _write(place: Path, files: Mapping[str, ProjectFile], alone: tuple[str, ...] = ()) -> None:
    """Write files that differ; of the directories ``alone`` nothing else stays.

    Nothing is done where a link stands in the way: it could lead anywhere.
    """
    _refuse_links(place, (*alone, *files))
    try:
        for top in alone:
            for path in sorted((place / top).rglob("*"), reverse=True):
                if path.is_dir() and not path.is_symlink():
                    if not any(path.iterdir()):
                        path.rmdir()
                elif str(path.relative_to(place)) not in files:
                    path.unlink()
        for name, file in files.items():
            path = place / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.is_file() or path.read_bytes() != file.content:
                path.write_bytes(file.content)
            if file.executable:
                path.chmod(0o755)
    except OSError as error:
        raise unwritable(error.filename or place, error, WRITABLE) from error


def _refuse_links(place: Path, names: Iterable[str]) -> None:
    """See that what will be written or removed below a directory is there. Raises ClocheError."""
    for name in names:
        for each in (PurePath(name), *PurePath(name).parents[:-1]):
            if (place / each).is_symlink():
                todo = "remove it: the files there are written by this command"
                raise ClocheError("a link", where=place / each, todo=todo)


def _directories(project: Project) -> dict[str, Path]:
    return {name: repo.path for name, repo in project.repos.items() if repo.path is not None}


def _check(project: Project, directory: Path) -> None:
    """Refuse a base tree that was made of other files. Raises ClocheError."""
    if not is_current(project.root, _directories(project)):
        raise ClocheError(
            f"{PLACE}/base is not what mkosi.conf asks for",
            where=directory,
            todo="run `cloche mkosi` there before mkosi, whose sandbox has too few users for it",
        )


def _build(options: Options, project: Project, progress: str, *, verbose: bool) -> None:
    """Build the machine, and lay its root out."""
    unpack = os.geteuid() == 0  # before there is a user namespace
    machine = project.machine(MACHINE)
    make_seed(options, project, project.seeds[machine.seed], SeedOptions())
    shown = Shown(opened_display(progress, verbose=verbose), quiet=progress == "json")
    with (
        terminable(),
        opened_session(options, project, sink=shown) as session,
        shown.work_of(session),
    ):
        result = session.build(MACHINE)
        tarball = result.outputs["stage4"]
        repos = _directories(project)
        new = lay_out(project.root, tarball, result.blobs["stage4"], repos, unpack=unpack)
    state = "new" if new else "as it was"
    click.echo(f"{project.root}/base  ({state}; {result.built} built, {result.reused} reused)")
    if not (project.root / "base/usr/lib/os-release").exists() and unpack:
        say("note: no package brings /usr/lib/os-release, without which mkosi refuses the image")
