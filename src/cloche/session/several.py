"""Builds several machines as one plan (`cloche.building.together`), and delivers each of them."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import replace
from functools import partial

from cloche.building.context import BuildContext
from cloche.building.machine import Built, Tell, build_machines
from cloche.building.packages import Builder
from cloche.building.together import Place, Together
from cloche.config.machine import Machine
from cloche.errors import ClocheError, host_trouble
from cloche.output.deliver import check_outputs, remember
from cloche.records.builds import recorded
from cloche.records.events import Planned
from cloche.records.joined import Joined, Names, joint_names
from cloche.session.building import (
    Result,
    Wanted,
    check_atoms,
    delivered,
    jobserver_of,
    own_choices,
    prepare,
    selected,
    sharing,
)
from cloche.session.choices import Choices
from cloche.session.contexts import context_to_build
from cloche.session.opened import Opened

Outcomes = dict[str, Result | ClocheError]


def build_several(
    opened: Opened, wanted: Sequence[Wanted], choices: Choices, joined: Joined
) -> Outcomes:
    """Build machines; what came of each, by name. Events go through ``joined``.

    An error of a machine before the first package is raised, unless ``choices.keep_going`` leaves
    that machine out.
    """
    began = time.monotonic()
    results: Outcomes = {}
    leave_out = partial(_left_out, opened, choices, results)
    for each in wanted:
        with leave_out(each):
            check_outputs(each.machine, each.directory)
    with ExitStack() as stack:
        contexts: list[tuple[Wanted, BuildContext]] = []
        for each in wanted:
            if each.machine.name not in results:
                with leave_out(each):
                    context = _context(opened, each.machine, choices, joined, stack)
                    contexts.append((each, context))
        if contexts:
            jobserver = stack.enter_context(jobserver_of(contexts[0][1], opened.slots))
            contexts = [(each, sharing(context, jobserver)) for each, context in contexts]
            prepared = _prepared(opened, contexts, choices, leave_out)
            ready = chosen(prepared, choices, results)

            def tell(planned: Sequence[Planned], shared: Together) -> None:
                joined.plan(planned, _names([each.machine for each in planned], shared))

            results |= carried_out(ready, choices, tell)
    joined.finish(time.monotonic() - began)
    return {each.machine.name: results[each.machine.name] for each in wanted}


@contextmanager
def _left_out(
    opened: Opened, choices: Choices, results: Outcomes, wanted: Wanted
) -> Iterator[None]:
    """With ``choices.keep_going`` an error of the block is what came of a machine."""
    try:
        yield
    except ClocheError as error:
        if not choices.keep_going or opened.running.stopped:
            raise
        results[wanted.machine.name] = error


def _context(
    opened: Opened, machine: Machine, choices: Choices, joined: Joined, stack: ExitStack
) -> BuildContext:
    """A machine's context, whose events are recorded as the machine's own."""
    own = replace(opened, sink=joined.hearing(machine.name))
    context = context_to_build(own, machine, choices)
    place, policy = context.inputs.place, context.policy
    record = recorded(
        context.store, context.bus, place, machine.name, count=policy.records, kept=policy.kept
    )
    stack.enter_context(record)
    return context


def _prepared(
    opened: Opened,
    contexts: Sequence[tuple[Wanted, BuildContext]],
    choices: Choices,
    leave_out: Callable[[Wanted], AbstractContextManager[None]],
) -> list[tuple[Wanted, Builder]]:
    """Resolve and plan, several machines at once."""

    def one(each: Wanted, context: BuildContext) -> Builder:
        return prepare(context, opened.project, each.machine, choices)

    found: list[tuple[Wanted, Builder]] = []
    cores = contexts[0][1].policy.cores
    pool = ThreadPoolExecutor(cores, thread_name_prefix="prepare")
    try:
        futures = [pool.submit(one, *each) for each in contexts]
        for (each, _), future in zip(contexts, futures, strict=True):
            with leave_out(each):
                found.append((each, future.result()))
    finally:
        pool.shutdown(cancel_futures=True)
    return found


def chosen(
    prepared: Sequence[tuple[Wanted, Builder]], choices: Choices, results: Outcomes
) -> list[tuple[Wanted, Builder]]:
    """The builders for the packages that were asked for; a machine without any has its result.

    Raises an error of `cloche.records` if no machine has a package.
    """
    builders = [builder for _, builder in prepared]
    if builders:
        check_atoms((*choices.packages, *choices.rebuild), builders)
    found = []
    for each, builder in prepared:
        own = own_choices(builder, choices)
        if own is None:
            name = each.machine.name
            results[name] = Result(machine=name, built=0, reused=0, seconds=0.0, layers={})
        else:
            found.append((each, selected(builder, own)))
    return found


def _names(machines: Sequence[str], shared: Together) -> Names:
    alike: dict[Place, list[tuple[str, str]]] = {}
    for (number, id), first in shared.first.items():
        alike.setdefault(first, []).append((machines[number], id))
    return joint_names(alike.values())


def carried_out(ready: Sequence[tuple[Wanted, Builder]], choices: Choices, tell: Tell) -> Outcomes:
    """Build the packages of machines and deliver each; what came of it, by name.

    If that ends early, what was made for the machines without a result is remembered.
    """
    results: Outcomes = {}
    try:
        done = build_machines([builder for _, builder in ready], tell) if ready else ()
        for (each, builder), built in zip(ready, done, strict=True):
            results[each.machine.name] = _delivered(builder, built, each, choices)
    except BaseException:
        for each, builder in ready:
            if each.machine.name not in results:
                with suppress(ClocheError, OSError, sqlite3.Error):  # the first error is raised
                    remember(builder, each.machine)
        raise
    return results


def _delivered(
    builder: Builder, built: Built | ClocheError, wanted: Wanted, choices: Choices
) -> Result | ClocheError:
    """The result of a machine whose packages are done; what failed is remembered.

    Trouble of one machine, as with its file system, is not that of the others.
    """
    try:
        if isinstance(built, ClocheError):
            remember(builder, wanted.machine)
            return built
        return delivered(builder, built, wanted, choices)
    except (ClocheError, OSError, sqlite3.Error) as error:
        if builder.context.running.stopped:
            raise
        return error if isinstance(error, ClocheError) else host_trouble(error)
