"""What a command works with: the options of all commands, the project, the store, the engine."""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import click

from cloche.broker import open_engine
from cloche.building.context import BuildContext, Policy
from cloche.building.inputs import pin_inputs
from cloche.building.livepins import Live
from cloche.building.locking import hold_inputs, hold_packages, locked_binpkgs
from cloche.building.machine import prepare
from cloche.building.packages import Worker
from cloche.building.resolve import proposal
from cloche.building.unresolved import ResolutionError, proposed
from cloche.cli.complete import complete_engine
from cloche.config import autounmask
from cloche.config.complaints import Complaint, ineffective, locate
from cloche.config.fragments import machine_sources
from cloche.config.lock import read as read_lock
from cloche.config.machine import Fragment, Machine
from cloche.config.project import Project, load_project
from cloche.display.text import visible
from cloche.engines import choice
from cloche.errors import ClocheError, host_trouble
from cloche.probing import host
from cloche.records.events import Bus, Event, Note, Progress, Sink
from cloche.sandbox import (
    cgroups,
    userns,
)
from cloche.sandbox.base import Engine, Limits
from cloche.seeds.stored import mirrors_now
from cloche.store import Store, check_tree
from cloche.tasks.guestcall import Running
from cloche.tasks.jobserver import Jobserver

DEFAULT_PHASE_SECONDS = 6 * 3600.0
STORE = (
    "Where layers and packages lie [default: $CLOCHE_STORE, the project's, ~/.local/share/cloche]."
)
ENGINE = f"What makes sandboxes: {', '.join(choice.NAMES)} [default: $CLOCHE_ENGINE, native]."
NO_MEMORY_LIMIT = (
    "[limits] memory has no effect here: no control group for it can be made; "
    "run as root, or have the memory controller delegated to you"
)
LITTLE = 1 << 20  # bytes free; with less, SQLite cannot work


@dataclass(frozen=True, slots=True)
class Options:
    """Options of all commands; all but the first may also stand behind the command's name."""

    directory: Path
    store: Path | None
    engine: str | None = None


def everywhere(command: click.Command) -> None:
    """Let a command, and all below it, take ``--store`` and ``--engine`` after its name, too."""
    if isinstance(command, click.Group):
        for each in command.commands.values():
            everywhere(each)
        return
    kind = click.Path(file_okay=False, readable=False, path_type=Path)
    command.params += [
        click.Option(["--store"], type=kind, help=STORE, expose_value=False, callback=_use_store),
        click.Option(
            ["--engine"],
            help=ENGINE,
            shell_complete=complete_engine,
            expose_value=False,
            callback=_use_engine,
        ),
    ]


def _use_store(context: click.Context, _: click.Parameter, store: Path | None) -> None:
    if store is not None and isinstance(context.obj, Options):
        context.obj = replace(context.obj, store=store)


def _use_engine(context: click.Context, _: click.Parameter, engine: str | None) -> None:
    if engine is not None and isinstance(context.obj, Options):
        context.obj = replace(context.obj, engine=engine)


@dataclass(frozen=True, slots=True)
class Choices:
    """Options of the commands that plan or build."""

    jobs: int | None = None
    keep_going: bool = False
    offline: bool = False
    strict: bool = False
    locked: bool = False
    strict_hooks: bool = False
    strict_config: bool = False
    live: bool = False
    autounmask_write: str | None = None
    packages: tuple[str, ...] = ()
    rebuild: tuple[str, ...] = ()


def store_path(options: Options, project: Project | None) -> Path:
    """``--store``, ``$CLOCHE_STORE``, the project's own, or the user's data directory (XDG)."""
    if options.store is not None:
        return options.store.absolute()
    if named := os.environ.get("CLOCHE_STORE"):
        return Path(named).absolute()
    if project is not None and project.store is not None:
        return project.store
    data = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(data).expanduser() / "cloche"


def project_or_none(options: Options) -> Project | None:
    """The project around the current directory, for commands that can do without."""
    try:
        return load_project(options.directory)
    except ClocheError:
        return None


@contextmanager
def opened_store(options: Options, project: Project | None = None) -> Iterator[Store]:
    """The store, as the one that cloche's user namespace shows."""
    userns.enter()
    host.check_ids()
    project = project or project_or_none(options)
    path = store_path(options, project)
    try:
        with Store.open(path, waiting=say) as store:
            yield store
    except sqlite3.Error as error:  # on a full file system it tells of all kinds of trouble
        room = os.statvfs(path)
        full = room.f_bavail * room.f_frsize < LITTLE
        raise host_trouble(error, str(path), full=full) from error


def engine_name(options: Options) -> str:
    """``--engine``, ``$CLOCHE_ENGINE``, or the default."""
    return options.engine or os.environ.get("CLOCHE_ENGINE") or choice.DEFAULT


@contextmanager
def opened_engine(options: Options) -> Iterator[Engine]:
    """The engine."""
    userns.enter()
    with open_engine(engine_name(options)) as engine:
        if engine.nature.caution:
            say(f"note: {engine.nature.caution}")
        yield engine


def try_host(store: Store, engine: Engine) -> None:
    """Make one sandbox before any work, so that a host that cannot says what it lacks.

    Raises HostError, SandboxError.
    """
    with store.workspace("probe") as room:
        host.check(engine, room)


@contextmanager
def opened_context(
    options: Options, project: Project, machine: Machine, choices: Choices, sink: Sink
) -> Iterator[BuildContext]:
    """Everything a build needs, with the machine's inputs pinned."""
    with ExitStack() as stack:
        engine = stack.enter_context(opened_engine(options))
        store = stack.enter_context(opened_store(options, project))
        try_host(store, engine)
        inputs = pin_inputs(store, project, machine, strict=choices.strict)
        if choices.locked:
            lock = read_lock(project.lock)
            hold_inputs(lock, machine, inputs)
            inputs = replace(inputs, locked_binpkgs=locked_binpkgs(lock, machine))
        policy = _policy(project, machine, choices)
        for layer in inputs.base:
            check_tree(store.tree(layer.id), policy.check)
        workspace = stack.enter_context(store.workspace("jobserver"))
        jobserver = Jobserver(workspace / "fifo", policy.cores)
        stack.callback(jobserver.close)
        running = Running()
        stack.callback(running.stop)
        bus = Bus(sink)
        if policy.limits.memory is not None and not cgroups.can_limit_memory():
            bus(Note(text=NO_MEMORY_LIMIT, level="warning"))
        live = Live(("*/*",) if choices.live else machine.live, project.lock, locked=choices.locked)
        yield BuildContext(store, engine, inputs, policy, bus, running, jobserver, live)


def prepared(context: BuildContext, project: Project, machine: Machine, choices: Choices) -> Worker:
    """Resolve and plan, and hold what came of it to the lock where that is asked for."""
    fragment = choices.autounmask_write and autounmask.fragment_of(
        machine, choices.autounmask_write
    )
    try:
        worker = prepare(context, machine.targets)
    except ResolutionError:
        if fragment:
            _write_proposed(context, machine, fragment)
        raise
    complaints = complaints_of(worker, machine)
    for each in (*complaints, *sayings_of(worker)):
        context.bus(Note(text=str(each), level="warning"))
    if complaints and choices.strict_config:
        raise ineffective(complaints)
    if choices.locked:
        hold_packages(read_lock(project.lock), machine, context.inputs, worker.plan.packages)
    return worker


def _write_proposed(context: BuildContext, machine: Machine, fragment: Fragment) -> None:
    """Write what Portage proposes into the fragment. Raises ClocheError where there is a word."""
    changes = autounmask.proposed(proposal(context, machine.targets))
    files = autounmask.write(changes, fragment)
    if files:
        raise proposed(machine.name, changes, files)


def complaints_of(worker: Worker, machine: Machine) -> tuple[Complaint, ...]:
    """What has no effect in a machine's configuration, at the user's own lines."""
    return locate(worker.plan.graph.complaints, machine_sources(machine))


def sayings_of(worker: Worker) -> tuple[Complaint, ...]:
    """What else Portage said while it resolved, which need not be about configuration."""
    return tuple(Complaint(None, f"Portage says: {text}") for text in worker.plan.graph.sayings)


def _policy(project: Project, machine: Machine, choices: Choices) -> Policy:
    limits = machine.limits
    cores = project.cores or len(os.sched_getaffinity(0))
    return Policy(
        jobs=choices.jobs or project.jobs or cores,
        cores=cores,
        keep_going=choices.keep_going,
        strict_hooks=choices.strict_hooks or project.strict_hooks,
        offline=choices.offline,
        phase_seconds=limits.phase_timeout or project.phase_timeout or DEFAULT_PHASE_SECONDS,
        limits=Limits(
            processes=limits.processes or Limits().processes,
            memory=limits.memory,
        ),
        records=project.records or Policy().records,
        check=project.check or Policy().check,
        disk_reserve=Policy().disk_reserve if project.reserve is None else project.reserve,
        distfiles=(project.distfiles,) if project.distfiles else (),
        mirrors=mirrors_now(project.seeds[machine.seed]),
    )


def telling_of_long_stages() -> Sink:
    """A sink for commands that show only a result: whatever takes long says four times so."""
    said: dict[str, int] = {}

    def sink(event: Event) -> None:
        if isinstance(event, Note):
            say(f"warning: {event.text}" if event.level == "warning" else event.text)
        if isinstance(event, Progress):
            quarter = 4 * event.done // max(1, event.of)
            if quarter > said.get(event.stage, -1):
                said[event.stage] = quarter
                say(f"{event.stage}: {event.done} of {event.of}")

    return sink


def say(text: str = "") -> None:
    """A line for people, apart from what a program may read from standard output."""
    sys.stderr.write(visible(text) + "\n")
