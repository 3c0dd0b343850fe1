"""Writes the project of a spec, in a directory that is cloche's own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from cloche.archives.tarball import import_tarball
from cloche.catalyst.conf import Conf
from cloche.catalyst.environment import environment
from cloche.catalyst.machines import check_target, project_of
from cloche.catalyst.making import Content, Copied, Inputs, Link, Project, Unpacked, profile_of
from cloche.catalyst.spec import Spec
from cloche.catalyst.subarchs import subarch_of
from cloche.config.errors import ConfigError, Origin
from cloche.errors import ClocheError, Exit
from cloche.output.claim import MARKER, is_replaceable
from cloche.portage.profiles import build_atoms
from cloche.portage.repository import Repository
from cloche.releng.bootstrap import calls_of
from cloche.releng.evaluation import evaluated
from cloche.releng.inputs import (
    check_files,
    exported_of,
    interpreters_of,
    overlays_of,
    snapshot_of,
    source_of,
)
from cloche.releng.pkgcache import INDEX, pkgcache_path
from cloche.session.session import Session
from cloche.store.locks import held_file

#: Directories of a spec's project.
OWN = (
    *("machines", "portage", "finish", "hooks", "root_overlay", "overlay", "kernels"),
    *("live", "medium", "cdtar"),
)


def write_project(project: Project, directory: Path) -> None:
    """Write a project, in place of an earlier one; see `claimed`.

    The lock and built outputs stay. Raises ClocheError.
    """
    for name in OWN:
        shutil.rmtree(directory / name, ignore_errors=True)
    for name, content in sorted(project.files.items()):  # directories come before what is in them
        _write(directory / name, content)


@contextmanager
def claimed(directory: Path) -> Iterator[None]:
    """Hold the directory of a spec's project exclusively for a block. Raises ClocheError.

    The directory does not exist yet, is empty, or was made by cloche. The lock is on the marker,
    because a lock on the directory itself is that of its cloche.lock (`config.lock.change`).
    """
    if not is_replaceable(directory):
        raise ClocheError("is not empty", where=directory, todo="name another directory")
    directory.mkdir(parents=True, exist_ok=True)
    with held_file(directory / MARKER) as free:
        if not free:
            what = "another cloche process is building or importing this spec"
            todo = "wait for it to finish, or give the spec another version_stamp"
            raise ClocheError(what, where=directory, todo=todo, status=Exit.HOST)
        yield


def _write(path: Path, content: Content) -> None:
    """Write a part of a project. Modes are those of files in a stage, whatever the umask."""
    _make_directories(path.parent)
    if isinstance(content, Link):
        path.symlink_to(content.target)
    elif isinstance(content, str):
        path.write_text(content)
        path.chmod(0o755 if content.startswith("#!") else 0o644)
    elif isinstance(content, Unpacked):
        _unpack(content.source, path)
    else:
        _copy(content, path)


def _make_directories(path: Path) -> None:
    if not path.is_dir():
        _make_directories(path.parent)
        path.mkdir()
        path.chmod(0o755)


def _unpack(tarball: Path, path: Path) -> None:
    """Unpack a tarball of the spec's. Raises `ConfigError`, ImportRefusedError."""
    try:
        import_tarball(tarball, path)
    except OSError as error:
        raise ConfigError(Origin(tarball), f"cannot be unpacked: {error.strerror}") from error


def _copy(copied: Copied, path: Path) -> None:
    """Copy a file or a directory of the spec's. Raises `ConfigError`."""
    without = {copied.source / name for name in copied.without}
    if path.resolve().is_relative_to(copied.source.resolve()):  # a copy of itself has no end
        what, todo = f"contains {path}", "name a directory that does not contain storedir"
        raise ConfigError(Origin(copied.source), what, todo)

    def ignored(directory: str, names: list[str]) -> set[str]:
        left = {name for name in names if Path(directory, name) in without}
        if copied.only and Path(directory) == copied.source:
            left |= set(names) - copied.only
        return left

    try:
        if copied.source.is_dir():
            shutil.copytree(
                copied.source,
                path,
                symlinks=True,
                ignore=ignored,
                copy_function=_copy_file,
                dirs_exist_ok=True,
            )
        else:
            _copy_file(copied.source, path)
            if copied.mode is not None:
                path.chmod(copied.mode)
    except shutil.Error as error:
        source, _, reason = error.args[0][0]
        raise ConfigError(Origin(Path(source)), f"cannot be copied: {reason}") from error
    except OSError as error:
        raise ConfigError(
            Origin(copied.source), f"cannot be read: {error.strerror or error}"
        ) from error


def _copy_file(source: str | Path, target: str | Path) -> None:
    """As `shutil.copy2`, which would read a device to its end, if it has one. Raises OSError."""
    if not Path(source).is_file():
        raise shutil.SpecialFileError("neither a file nor a directory nor a link")
    shutil.copy2(source, target)


def check_named(spec: Spec, conf: Conf) -> None:
    """Check what `base_of` reads, except for source and snapshot. Raises `ConfigError`."""
    check_target(spec)
    check_files(spec)
    subarch_of(spec, conf)
    overlays_of(spec, conf)
    interpreters_of(spec)
    exported_of(conf)


def base_of(spec: Spec, conf: Conf) -> Inputs:
    """A spec's inputs, except those that the tree and the source show. Raises `ConfigError`."""
    check_target(spec)
    check_files(spec)
    return Inputs(
        subarch_of(spec, conf),
        source_of(spec, conf),
        snapshot_of(spec, conf),
        overlays_of(spec, conf),
        pkgcache=_pkgcache(spec, conf),
        interpreters=interpreters_of(spec),
        exported=exported_of(conf) or {},
    )


def _pkgcache(spec: Spec, conf: Conf) -> Path | None:
    """The spec's pkgcache, if it exists and is to be read."""
    path = pkgcache_path(spec, conf)
    return path if conf.read_pkgcache and (path / INDEX).is_file() else None


def completed(
    spec: Spec,
    conf: Conf,
    inputs: Inputs,
    session: Session,
    repos: Mapping[str, Repository],
) -> Project:
    """The whole project; ``session`` has the one that is known without tree and source."""
    if exported_of(conf) is None:
        first = project_of(spec, conf, inputs).machines[0]  # it is over the source
        with session.context(first) as context:
            known = environment(spec, conf, inputs.subarch)
            exported = evaluated(context, Path(conf.text("envscript")), known)
        inputs = replace(inputs, exported=exported)
    if spec.text("target") == "stage2":
        with session.context("stage2") as context:
            calls = calls_of(context, conf.text("repo_name"))
        return project_of(spec, conf, replace(inputs, calls=calls))
    if spec.text("target") != "stage1":
        return project_of(spec, conf, inputs)
    return project_of(
        spec, conf, replace(inputs, build_packages=_build_packages(spec, conf, repos))
    )


def _build_packages(spec: Spec, conf: Conf, repos: Mapping[str, Repository]) -> tuple[str, ...]:
    """The packages of a stage1. Raises `ConfigError`."""
    repo, path = profile_of(spec, conf)
    packages = build_atoms(repos, repo, path)
    if not packages:
        todo = "choose another profile: a stage1 consists of the packages in that file"
        raise ConfigError(spec.origin("profile"), f"the profile {path} has no packages.build", todo)
    return packages
