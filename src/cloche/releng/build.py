"""Builds a spec: writes its project, builds its machines, places outputs under catalyst's names."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from cloche.catalyst.chains import earlier_makers
from cloche.catalyst.conf import Conf
from cloche.catalyst.machines import project_of
from cloche.catalyst.making import PKGCACHE
from cloche.catalyst.making import Project as Made
from cloche.catalyst.origins import Origins
from cloche.catalyst.paths import (
    Output,
    compression_mode,
    extension,
    is_below,
    outputs,
    store_path,
    subpath,
)
from cloche.catalyst.spec import Spec
from cloche.config.errors import ConfigError, Origin
from cloche.config.files import check_writable, replace_text
from cloche.config.fragments import machine_files
from cloche.config.lock import TreeSeed
from cloche.config.lock import read as read_lock
from cloche.config.project import LOCK, load_project
from cloche.errors import ClocheError
from cloche.records.events import Bus, Event, Note, delivered
from cloche.releng.checks import check_inputs, check_packages
from cloche.releng.inputs import check_spec, no_squashfs, snapshot_of, source_of
from cloche.releng.opening import Opening
from cloche.releng.outputs import (
    LONGEST,
    NOTHING_MORE,
    Attest,
    check_digests,
    check_reader,
    check_replaceable,
    files_of,
    listed,
    publish,
)
from cloche.releng.pkgcache import keep_packages, pkgcache_path
from cloche.releng.projects import base_of, check_named, claimed, completed, write_project
from cloche.releng.tools import progress_of
from cloche.session.building import Result
from cloche.session.choices import Choices
from cloche.session.inputs import SeedOptions, SyncOptions
from cloche.session.session import Session


@dataclass(frozen=True, slots=True)
class BuiltSpec:
    """A spec that was built: the result of each machine, and the files in their places.

    ``logs`` is the directory with the logs of all steps.
    """

    results: tuple[Result, ...]
    outputs: tuple[Output, ...]
    logs: Path


def check_all(specs: Sequence[Spec], conf: Conf) -> None:
    """See that specs can be built one after the other, before the first one is. Raises ClocheError.

    A source may be missing if an earlier spec makes it, a snapshot if one is made before.
    """
    for spec in specs:
        check_spec(spec, conf)
    made = False
    for spec, maker in zip(specs, earlier_makers(specs, conf), strict=True):
        if spec.text("target") == "snapshot":
            made = True
            continue
        check_first(spec, conf)
        if maker is None:
            source_of(spec, conf)
        elif extension(compression_mode(maker, conf)) == extension("squashfs"):
            raise no_squashfs(spec, f"the output of {maker.file}")
        if not made:
            snapshot_of(spec, conf)


def check_first(spec: Spec, conf: Conf) -> None:
    """All checks of a spec that need neither its source nor its snapshot. Raises ClocheError."""
    check_spec(spec, conf)
    check_digests(conf)
    check_reader(spec, conf)
    check_places(spec, conf)
    check_replaceable(spec, conf)
    check_named(spec, conf)


def check_pinned(lock: Path, spec: Spec, conf: Conf) -> None:
    """See that the source and the snapshot are what the lock pins. Raises `ConfigError`.

    The source may have been built again, and the spec may name another snapshot now.
    """
    pinned = read_lock(lock)
    seed, tree = pinned.seeds.get("source"), pinned.repos.get(conf.text("repo_name"))
    source, snapshot = source_of(spec, conf), snapshot_of(spec, conf)
    if isinstance(seed, TreeSeed) and seed.digest != _digest(source):
        raise _not_pinned(spec.origin("source_subpath"), source, lock)
    if tree is not None and (tree.file, tree.digest) != (snapshot.name, _digest(snapshot)):
        raise _not_pinned(spec.origin("snapshot_treeish"), snapshot, lock)


def _digest(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _not_pinned(origin: Origin, file: Path, lock: Path) -> ConfigError:
    what = f"{file} is not the one that {lock.name} pins"
    return ConfigError(origin, what, "use it with --update, or restore the earlier one")


def check_places(spec: Spec, conf: Conf) -> None:
    """See that a spec writes nothing outside of builds/, and only names that can be written.

    Raises `ConfigError`.
    """
    own, builds = store_path(conf, "cloche"), store_path(conf, "builds")
    places = (
        (own, str(directory_of(spec, conf))),
        *((builds, o.path) for o in outputs(spec, conf)),
    )
    for top, path in places:
        reason = ""
        if not is_below(path, top):
            reason = f"is not below {top}"
        elif not path.isprintable():  # a line end, for example, would be one in .DIGESTS
            reason = "has characters that cannot be printed"
        elif any(len(part.encode()) > LONGEST for part in Path(path).parts):
            reason = f"has a name of more than {LONGEST} bytes"
        if reason:
            todo = "correct rel_type, version_stamp or rename_regexp"
            raise ConfigError(spec.origin("rename_regexp"), f"writes {path}, which {reason}", todo)


def directory_of(spec: Spec, conf: Conf) -> Path:
    """The directory of a spec's project: below storedir, beside catalyst's own directories."""
    return Path(store_path(conf, "cloche", subpath(spec)))


def import_spec(spec: Spec, conf: Conf, directory: Path, opening: Opening) -> tuple[str, ...]:
    """Write the project of a spec to a directory; return its machines in their order.

    Raises ClocheError.
    """
    check_spec(spec, conf)
    base_of(spec, conf)
    with claimed(directory):
        return _write(spec, conf, directory, opening).machines


def _write(spec: Spec, conf: Conf, directory: Path, opening: Opening) -> Made:
    """Write the project twice: the packages of stage1 and stage2 are found in its tree.

    Errors in the spec itself are raised before anything is unpacked, those that only the tree shows
    before anything is built. Raises ClocheError.
    """
    inputs = base_of(spec, conf)
    made = project_of(spec, conf, inputs)
    write_project(made, directory)
    with in_its_words(Origins(spec, made, directory)):
        project = load_project(directory)
        for name in made.machines:
            machine_files(project.machine(name))
        with opening(project) as session:
            session.sync(conf.text("repo_name"))
            if inputs.pkgcache is not None:  # every build with pkgcache changes it
                session.sync_index(PKGCACHE, SyncOptions(update=True))
            repos = check_inputs(spec, conf, session)
            made = completed(spec, conf, inputs, session, repos)
    write_project(made, directory)
    with in_its_words(Origins(spec, made, directory)):
        project = load_project(directory)
        for name in made.machines:
            check_packages(project, name, repos)
    return made


@contextmanager
def in_its_words(origins: Origins) -> Iterator[None]:
    """Let errors name the lines of the spec, not those of its project."""
    try:
        yield
    except ClocheError as error:
        origins.translate(error)
        raise


@dataclass(frozen=True, slots=True)
class Prepared:
    """A spec whose project is written and opened; ``machines`` in their order."""

    directory: Path
    machines: tuple[str, ...]
    session: Session

    def take_seed(self, machine: str) -> None:
        """Make the seed of a machine, and the tools for its outputs. Raises ClocheError.

        If the seed is a machine, that has to be built before.
        """
        wanted = self.session.project.machine(machine)
        seed = wanted.seed
        self.session.seed(seed, SeedOptions(update=seed != "source"))
        for name in dict.fromkeys(wanted.tools):
            self.session.seed(name, SeedOptions(progress=progress_of(self.session, name)))


@contextmanager
def prepared(spec: Spec, conf: Conf, opening: Opening, *, update: bool) -> Iterator[Prepared]:
    """Write the project of a spec and open it, with the inputs that its lock pins.

    With ``update``, the current ones are used. Raises ClocheError.
    """
    check_first(spec, conf)
    base_of(spec, conf)
    directory = directory_of(spec, conf)
    lock = lock_of(spec)
    with claimed(directory):
        directory.chmod(0o700)  # it has copies of files that others may not be allowed to read
        (directory / LOCK).unlink(missing_ok=True)
        if lock.exists() and not update:
            check_pinned(lock, spec, conf)
            shutil.copyfile(lock, directory / LOCK)
        made = _write(spec, conf, directory, opening)
        origins = Origins(spec, made, directory)
        with in_its_words(origins), opening(load_project(directory)) as session:
            bus = Bus(lambda event: session.sink(_translated(event, origins)))
            yield Prepared(directory, made.machines, replace(session, sink=bus))


def _translated(event: Event, origins: Origins) -> Event:
    """An event whose text names the lines of the spec."""
    if isinstance(event, Note):
        return msgspec.structs.replace(event, text=origins.translated(event.text))
    return event


def lock_of(spec: Spec) -> Path:
    """The lock beside a spec: NAME.lock for NAME.spec, and for another NAME."""
    file = spec.file
    return file.with_name(f"{file.name.removesuffix('.spec')}.lock")


def build_spec(
    spec: Spec,
    conf: Conf,
    opening: Opening,
    choices: Choices,
    *,
    update: bool,
    attest: Attest = NOTHING_MORE,
) -> BuiltSpec:
    """Build a spec. Raises ClocheError.

    Its inputs are pinned in a lock beside the spec, to which later builds keep; with ``update``
    the current ones are used.
    """
    check_writable(lock_of(spec))
    with prepared(spec, conf, opening, update=update) as ready:
        results = []
        for name in ready.machines:
            ready.take_seed(name)
            results.append(ready.session.build(name, choices))
        replace_text(lock_of(spec), (ready.directory / LOCK).read_text())
        made = listed(ready.session.store, results[-1])
        written = publish(spec, conf, made, results, attest)
        if "pkgcache" in conf.words("options"):
            packages = (each.outputs["packages"] for each in results)
            keep_packages(packages, pkgcache_path(spec, conf))
        ready.session.sink(delivered(files_of(written), ready.session.store.logs))
    return BuiltSpec(tuple(results), written, ready.session.store.logs)
