"""What the steps of one machine's build share, as project and caller say.

Loads nothing that resolves or builds: a root that is only opened is there sooner.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace

from cloche.building.context import BuildContext, Policy
from cloche.building.errors import MissingSeedError
from cloche.building.inputs import pin_inputs
from cloche.building.kernels import with_kernel
from cloche.building.livepins import Live
from cloche.building.locking import hold_inputs, locked_binpkgs
from cloche.config.lock import read as read_lock
from cloche.config.machine import Machine
from cloche.config.project import Project
from cloche.layers import Layer
from cloche.records.events import Bus, Note
from cloche.sandbox import cgroups
from cloche.sandbox.base import Limits
from cloche.seeds.debian.mirrors import mirrors_now
from cloche.session.choices import Choices
from cloche.session.opened import Opened
from cloche.store import check_tree
from cloche.tasks.worker import Worker

DEFAULT_PHASE_SECONDS = 6 * 3600.0
NO_MEMORY_LIMIT = (
    "[limits] memory has no effect here: no control group for it can be made; "
    "run as root, or have the memory controller delegated to you"
)


def context_of(
    opened: Opened, machine: Machine, choices: Choices, over: Sequence[Layer] = ()
) -> BuildContext:
    """What the parts of a build share, with the machine's inputs pinned. Raises `ClocheError`.

    With ``over`` these layers are in the place of the machine's seed.
    """
    store, project = opened.store, opened.project
    pinned = pin_inputs(store, project, machine, strict=choices.strict, over=over)
    check = project.check or "off"
    for layer in pinned.base:
        if layer not in over:
            check_tree(store.tree(layer.id), check)
    policy = policy_of(project, machine, choices, over=bool(over))
    worker = Worker(store, opened.engine, Bus(opened.sink), opened.running, check=check)
    if policy.limits.memory is not None and not cgroups.can_limit_memory():
        worker.bus(Note(text=NO_MEMORY_LIMIT, level="warning"))
    live = Live(("*/*",) if choices.live else machine.live, project.lock, locked=choices.locked)
    context = BuildContext(worker, pinned, policy, live, opened.proxies, opened.elsewhere)
    context = with_kernel(context, machine)
    return _held_to_lock(context, project, machine) if choices.locked else context


def context_to_build(opened: Opened, machine: Machine, choices: Choices) -> BuildContext:
    """Like `context_of`, but missing seeds of tools, which make the machine's outputs, are made.

    The machine's own seed is not made here, so that the user decides what it is built on; nor is
    any seed with ``offline``.
    """
    while True:
        try:
            return context_of(opened, machine, choices)
        except MissingSeedError as error:
            if choices.offline or error.seed == machine.seed or error.seed not in machine.tools:
                raise
            missing = error.seed
        _make_tools(opened, missing)


def _make_tools(opened: Opened, name: str) -> None:
    """Make a declared seed, and report its progress. Raises `ClocheError`."""
    from cloche.session.inputs import Progressing, SeedOptions, make_seed

    def report(text: str) -> None:
        opened.sink(Note(text=f"seed {name}: {text}"))

    spec, how = opened.project.seeds[name], SeedOptions(progress=Progressing(report=report))
    make_seed(opened.store, opened.engine, opened.project, spec, how)


def _held_to_lock(context: BuildContext, project: Project, machine: Machine) -> BuildContext:
    """Refuse inputs that differ from the locked ones. Raises `ClocheError`."""
    lock = read_lock(project.lock)
    hold_inputs(lock, machine, context.inputs)
    inputs = replace(context.inputs, locked_binpkgs=locked_binpkgs(lock, machine))
    return replace(context, inputs=inputs)


def policy_of(
    project: Project, machine: Machine, choices: Choices, *, over: bool = False
) -> Policy:
    """How to work: what the caller chooses, what machine and project say, and defaults.

    ``over`` says that the machine has no seed.
    """
    limits = machine.limits
    cores = project.cores or len(os.sched_getaffinity(0))
    return Policy(
        jobs=choices.jobs or project.jobs or cores,
        cores=cores,
        keep_going=choices.keep_going,
        strict_hooks=choices.strict_hooks or project.strict_hooks,
        offline=choices.offline,
        ccache=project.ccache,
        distcc=project.distcc,
        phase_seconds=limits.phase_timeout or project.phase_timeout or DEFAULT_PHASE_SECONDS,
        limits=Limits(
            processes=limits.processes or Limits().processes,
            memory=limits.memory,
        ),
        records=project.records or Policy().records,
        kept=project.keep or Policy().kept,
        disk_reserve=Policy().disk_reserve if project.reserve is None else project.reserve,
        distfiles=(project.distfiles,) if project.distfiles else (),
        mirrors=None if over else mirrors_now(project.ground(machine)),
    )
