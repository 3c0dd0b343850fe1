"""Builds a spec: its project, its machines in their order, the outputs under catalyst's names."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from cloche.catalyst.conf import Conf
from cloche.catalyst.machines import project_of
from cloche.catalyst.paths import Output, outputs, store_path, subpath
from cloche.catalyst.spec import Spec
from cloche.config.errors import ConfigError
from cloche.config.lock import TreeSeed
from cloche.config.lock import read as read_lock
from cloche.config.project import LOCK, Project, load_project
from cloche.releng.inputs import source_of
from cloche.releng.outputs import check_digests, publish
from cloche.releng.projects import base_of, completed, write_project
from cloche.session.building import Result
from cloche.session.choices import Choices
from cloche.session.inputs import SeedOptions
from cloche.session.session import Session

Opening = Callable[[Project], AbstractContextManager[Session]]
"""Opens a session for a project: the caller's store, engine and display."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A spec that was built: what each of its machines gave, and the files in their places."""

    results: tuple[Result, ...]
    outputs: tuple[Output, ...]


def _check_pinned(lock: Path, spec: Spec, source: Path) -> None:
    """See that the source is what the lock pins; it may have been built again."""
    pinned = read_lock(lock).seeds.get("source")
    with source.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if isinstance(pinned, TreeSeed) and pinned.digest != digest:
        raise ConfigError(
            spec.origin("source_subpath"),
            f"{source} is not the one that {lock.name} pins",
            "add --update to take it, or put the earlier one back",
        )


def check_places(spec: Spec, conf: Conf) -> None:
    """See that nothing is written outside of storedir, wherever a spec's words lead."""
    top = store_path(conf)
    for path in (str(directory_of(spec, conf)), *(each.path for each in outputs(spec, conf))):
        if not Path(os.path.normpath(path)).is_relative_to(top):
            what = f"writes {path}, which is not below storedir ({top})"
            todo = "correct rel_type, version_stamp or rename_regexp"
            raise ConfigError(spec.origin("rename_regexp"), what, todo)


def directory_of(spec: Spec, conf: Conf) -> Path:
    """Where the project of a spec lies: below storedir, beside catalyst's own directories."""
    return Path(store_path(conf, "cloche", subpath(spec)))


def import_spec(spec: Spec, conf: Conf, directory: Path, opening: Opening) -> tuple[str, ...]:
    """Write the project of a spec to a directory; return its machines in their order.

    Raises ClocheError.
    """
    inputs = base_of(spec, conf)
    write_project(project_of(spec, conf, inputs), directory)
    with opening(load_project(directory)) as session:
        session.sync(conf.text("repo_name"))
        whole = completed(spec, conf, inputs, session)
    write_project(whole, directory)
    return whole.machines


def build_spec(
    spec: Spec, conf: Conf, opening: Opening, choices: Choices, *, update: bool
) -> Stage:
    """Build a spec. Raises ClocheError.

    Its inputs are pinned in a lock beside the spec, which later builds keep to; with ``update``
    they take what is there now.
    """
    check_digests(conf)
    check_places(spec, conf)
    directory = directory_of(spec, conf)
    lock = spec.file.with_suffix(".lock")
    directory.mkdir(parents=True, exist_ok=True)
    (directory / LOCK).unlink(missing_ok=True)
    if lock.exists() and not update:
        _check_pinned(lock, spec, source_of(spec, conf))
        shutil.copyfile(lock, directory / LOCK)
    machines = import_spec(spec, conf, directory, opening)
    project = load_project(directory)
    results = []
    with opening(project) as session:
        for name in machines:
            seed = project.machine(name).seed
            session.seed(seed, SeedOptions(update=seed != "source"))
            results.append(session.build(name, choices))
        shutil.copyfile(directory / LOCK, lock)
        made = results[-1].outputs["stage4"]
        written = publish(spec, conf, made)
    return Stage(tuple(results), written)
