"""Plans and builds machines: inputs, policy, warnings, results, news, shells."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from itertools import takewhile
from pathlib import Path

from msgspec import structs

from cloche.building import shells
from cloche.building.context import BuildContext
from cloche.building.finish_checks import foreseen
from cloche.building.forecast import Forecast, forecast, live_to_build, to_fetch
from cloche.building.locking import hold_packages
from cloche.building.machine import Built, build_machine, resolve_and_plan
from cloche.building.news import Item, news
from cloche.building.packages import Builder
from cloche.building.resolve import proposal
from cloche.building.root import Root
from cloche.building.unresolved import ResolutionError, proposed
from cloche.config import autounmask
from cloche.config.atoms import name_of
from cloche.config.complaints import Complaint, ineffective, locate, other
from cloche.config.fragments import machine_sources
from cloche.config.lock import read as read_lock
from cloche.config.machine import Fragment, Machine
from cloche.config.project import Project
from cloche.config.secrets import owned
from cloche.errors import ClocheError
from cloche.output.claim import BINPKGS
from cloche.output.deliver import (
    check_hooks_of_done,
    check_outputs,
    deliver,
    remember,
)
from cloche.output.finished import Written
from cloche.output.image_checks import presences
from cloche.output.images import check_images
from cloche.output.recall import resolution_before
from cloche.output.remembered import finished_machine
from cloche.output.sealed import Revealed
from cloche.output.system import add_system, system_of
from cloche.plan.depgraph import Depgraph
from cloche.plan.names import matching, nearest
from cloche.plan.plan import narrowed
from cloche.records import events
from cloche.records.builds import recorded, unknown_package
from cloche.records.events import Note
from cloche.session.choices import Choices
from cloche.session.contexts import context_of, context_to_build
from cloche.session.opened import Opened
from cloche.session.origins import Origins, origins
from cloche.tasks.jobserver import Jobserver
from cloche.tasks.slots import SharedSlots


@dataclass(frozen=True, slots=True)
class Preview:
    """What a build would do. ``warnings`` are about configuration without effect, and what else
    Portage said; ``refused`` is why nothing would be built, if so.

    ``fates`` and ``fetch`` (bytes) are by package id; ``before`` is the machine's last resolution.
    """

    builder: Builder
    fates: Mapping[str, Forecast]
    fetch: Mapping[str, int]
    before: Depgraph
    warnings: tuple[Complaint, ...]
    refused: ClocheError | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """What a build gave. ``layers`` are ids by package, of those that were asked for.

    ``outputs`` is where they lie, by their kinds, and ``blobs`` what the store has of them;
    ``unread`` counts news items; ``origins`` are set if the whole machine was built.
    """

    machine: str
    built: int
    reused: int
    seconds: float
    layers: Mapping[str, str]
    outputs: Mapping[str, Path] = field(default_factory=dict)
    blobs: Mapping[str, str] = field(default_factory=dict)
    unread: int = 0
    origins: Origins | None = None


def prepare(context: BuildContext, project: Project, machine: Machine, choices: Choices) -> Builder:
    """Resolve and plan a machine, and hold what came of it to the lock where that is asked for."""
    check_images(machine.images, context.inputs.tools)
    fragment = choices.autounmask_write and autounmask.fragment_of(
        machine, choices.autounmask_write
    )
    try:
        builder = resolve_and_plan(context, machine.targets)
    except ResolutionError as error:
        if fragment:
            _write_proposed(context, machine, fragment)
        error.where = next(
            (
                str(asked.origin)
                for asked in machine.atoms
                if asked.atom == error.asked or name_of(asked.atom) in error.blockers
            ),
            error.where,
        )
        raise
    complaints = complaints_of(builder, machine)
    for each in (*complaints, *sayings_of(builder)):
        context.bus(Note(text=str(each), level="warning"))
    if complaints and choices.strict_config:
        raise ineffective(complaints)
    if choices.locked:
        lock = read_lock(project.lock)
        hold_packages(lock, machine, builder.context.inputs, builder.plan.packages)
    finish = (*machine.finish, *owned(machine.secrets))
    needed = tuple(presences(machine, context.inputs.tools))
    return replace(builder, finish=finish, presences=needed)


def _write_proposed(context: BuildContext, machine: Machine, fragment: Fragment) -> None:
    """Write what Portage proposes into the fragment. Raises ClocheError if there is anything."""
    changes = autounmask.proposed(proposal(context, machine.targets))
    files = autounmask.write(changes, fragment)
    if files:
        raise proposed(machine.name, changes, files)


def complaints_of(builder: Builder, machine: Machine) -> tuple[Complaint, ...]:
    """What has no effect in a machine's configuration, at the user's own lines."""
    return locate(builder.plan.graph.complaints, machine_sources(machine))


def sayings_of(builder: Builder) -> tuple[Complaint, ...]:
    """What else Portage said while it resolved, which need not be about configuration."""
    return other(builder.plan.graph.sayings)


def preview(opened: Opened, machine: Machine, choices: Choices) -> Preview:
    """What a build would do; nothing is built."""
    builder = prepare(context_of(opened, machine, choices), opened.project, machine, choices)
    fates = forecast(builder)
    known = {name: each.made for name, each in fates.items() if each.made is not None}
    check_hooks_of_done(builder, known)
    return Preview(
        builder,
        fates,
        to_fetch(builder, fates),
        resolution_before(opened.store, machine),
        (*complaints_of(builder, machine), *sayings_of(builder)),
        live_to_build(builder, fates) or foreseen(builder, fates),
    )


@dataclass(frozen=True, slots=True)
class Wanted:
    """A machine to build, the directory of its outputs, and secrets that are to be in them."""

    machine: Machine
    directory: Path
    secrets: Sequence[Revealed] = ()


def build(opened: Opened, wanted: Wanted, choices: Choices) -> Result:
    """Build a machine, or some of its packages. Raises `BuildError` when some failed."""
    machine = wanted.machine
    check_outputs(machine, wanted.directory)
    context = context_to_build(opened, machine, choices)
    count, kept = context.policy.records, context.policy.kept
    place = context.inputs.place
    with (
        recorded(context.store, context.bus, place, machine.name, count=count, kept=kept),
        with_jobserver(context, opened.slots) as context,
    ):
        builder = selected(prepare(context, opened.project, machine, choices), choices)
        try:
            done = build_machine(builder)
        except BaseException:
            remember(builder, machine)
            raise
        return delivered(builder, done, wanted, choices)


def place_of_outputs(project: Project, machine: Machine, output: Path | str | None) -> Path:
    """The directory of a machine's outputs: the one that was asked for, or its own."""
    return project.root / "out" / machine.name if output is None else Path(output)


def delivered(builder: Builder, done: Built, wanted: Wanted, choices: Choices) -> Result:
    """Write the outputs of a machine whose packages are built, and remember it.

    Raises StepError, ClocheError.
    """
    written: dict[str, Written] = {}
    unread = 0
    context, machine = builder.context, wanted.machine
    try:
        if choices.packages:
            remember(builder, machine)
        else:
            written = deliver(builder, done, machine, wanted.directory, wanted.secrets)
            unread = _unread_news(context, machine)
    except BaseException:
        remember(builder, machine)
        raise
    outputs = {name: each.path for name, each in written.items()}
    if outputs:
        event = events.delivered(outputs, context.store.logs)
        system = add_system(context.store, system_of(machine, context.inputs, builder.copied))
        context.bus(structs.replace(event, system=system, finish=_of_finish(context, machine)))
    return replace(
        result_of(machine.name, done),
        outputs=outputs,
        blobs={name: each.blob for name, each in written.items()},
        unread=unread,
        origins=None if choices.packages else origins(builder, done),
    )


def _of_finish(context: BuildContext, machine: Machine) -> tuple[str, ...]:
    """The layers of a finished machine that its finish made: the uppermost ones."""
    pin = finished_machine(context.store, machine)
    layers = reversed(pin.data["layers"] if pin else ())
    found = takewhile(lambda id: context.store.tree(id).kind == "finish", layers)
    return tuple(reversed(tuple(found)))


def result_of(machine: str, done: Built) -> Result:
    """The result of a build of which nothing is delivered."""
    layers = {name: made.layer for name, made in done.made.items()}
    return Result(machine, done.built, done.reused, done.seconds, layers)


Servers = tuple[Jobserver | SharedSlots, Jobserver | None]


@contextmanager
def jobserver_of(context: BuildContext, slots: Path | None) -> Iterator[Servers]:
    """A jobserver for all that is built on this host, or shared slots.

    And one for builds that compile on other hosts, too, which has tokens for those.
    """
    with ExitStack() as stack:
        jobserver: Jobserver | SharedSlots
        if slots is not None:
            jobserver = SharedSlots(slots, lambda: context.running.stopped)
        else:
            room = stack.enter_context(context.store.workspace("jobserver"))
            jobserver = Jobserver(room / "fifo", context.policy.cores)
        stack.callback(jobserver.close)
        wide = None
        if slots is None and (more := context.policy.elsewhere):
            wide = Jobserver(room / "wide", context.policy.cores + more)
            stack.callback(wide.close)
        yield jobserver, wide


def sharing(context: BuildContext, servers: Servers) -> BuildContext:
    """The context of builds that share what `jobserver_of` gives."""
    jobserver, wide = servers
    return replace(context, worker=replace(context.worker, jobserver=jobserver, wide=wide))


@contextmanager
def with_jobserver(context: BuildContext, slots: Path | None) -> Iterator[BuildContext]:
    """The context with a jobserver of its own, or with shared slots."""
    with jobserver_of(context, slots) as servers:
        yield sharing(context, servers)


def selected(builder: Builder, choices: Choices) -> Builder:
    """The builder for the packages that were asked for. Raises an error of `cloche.records`."""
    if choices.packages:
        wanted = _found(choices.packages, builder)
        builder = replace(builder, plan=narrowed(builder.plan, wanted), partial=True)
    return replace(builder, forced=frozenset(_found(choices.rebuild, builder)))


def _found(atoms: tuple[str, ...], builder: Builder) -> list[str]:
    check_atoms(atoms, (builder,))
    names = [package.id for package in builder.plan.packages]
    return [name for atom in atoms for name in matching(atom, names)]


def check_atoms(atoms: Sequence[str], builders: Sequence[Builder]) -> None:
    """See that a plan has each of the packages. Raises an error of `cloche.records`."""
    names = list(dict.fromkeys(p.id for builder in builders for p in builder.plan.packages))
    for atom in atoms:
        if not matching(atom, names):
            raise unknown_package(atom, nearest(atom, names))


def own_choices(builder: Builder, choices: Choices) -> Choices | None:
    """The choices without packages that this one of several machines does not have; it says so.

    None if it has none of those that are to be built.
    """
    names = [package.id for package in builder.plan.packages]
    packages, rebuild = (
        tuple(atom for atom in atoms if matching(atom, names))
        for atoms in (choices.packages, choices.rebuild)
    )
    for atom in dict.fromkeys((*choices.packages, *choices.rebuild)):
        if atom not in (*packages, *rebuild):
            builder.context.bus(Note(text=f"no package matches “{atom}”"))
    if choices.packages and not packages:
        return None
    return replace(choices, packages=packages, rebuild=rebuild)


def news_of(context: BuildContext, machine: Machine) -> tuple[Item, ...]:
    """The news items that concern a machine as it was built last. Raises StepError."""
    pin = finished_machine(context.store, machine)
    layers = [context.layer(id) for id in pin.data["layers"]] if pin else []
    return news(context, layers)


def _unread_news(context: BuildContext, machine: Machine) -> int:
    """How many unread news items concern a machine that is finished; no news fail a build."""
    try:
        unread = sum(not item.read for item in news_of(context, machine))
    except (ClocheError, OSError) as error:
        context.bus(Note(text=f"news: {error}", level="warning"))
        return 0
    if unread:
        items = f"{unread} unread news item{'' if unread == 1 else 's'}"
        text = f"{items} for this machine: `cloche news {machine.name}`"
        context.bus(Note(text=text))
    return unread


def shell(
    opened: Opened, machine: Machine, package: str | None, choices: Choices
) -> AbstractContextManager[Root]:
    """The root of a machine as it was built last, or the one in which a package is built."""
    context = context_of(opened, machine, replace(choices, offline=True))
    if package is not None:
        return shells.package_root(resolve_and_plan(context, machine.targets), package)
    pin = finished_machine(context.store, machine)
    packages = opened.project.root / "out" / machine.name / BINPKGS
    return shells.machine_root(context, machine.name, pin, packages)
