"""Builds a whole machine: resolves, plans, carries out, records."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace

from cloche.building import (
    ccache,
    distcc,
    fetch,
    own_root,
    pretend,
)
from cloche.building.configuration import with_patches
from cloche.building.context import BuildContext
from cloche.building.errors import BuildError, not_finished
from cloche.building.finish_checks import foreseen
from cloche.building.forecast import Forecast, forecast, live_to_build
from cloche.building.hints import explain_again
from cloche.building.inputs import input_digests
from cloche.building.packages import Builder, Made
from cloche.building.queue import Outcome, at_once, carry_out
from cloche.building.resolve import resolve
from cloche.building.together import Place, Together, node, together
from cloche.composing.contests import recalled
from cloche.errors import ClocheError
from cloche.plan.depgraph import Package
from cloche.plan.names import cp_of
from cloche.plan.order import make_order, reduced
from cloche.plan.plan import Plan, make_plan, remaining_paths
from cloche.records.events import Done, Finished, Note, Planned
from cloche.seeds.parts.derived import strict_parts
from cloche.store import Store
from cloche.tasks import distfiles
from cloche.tasks.errors import GuestError, StepError

FETCHERS = 2  # at once, as mirrors are shared
EARLIER = 10  # runs of other versions from which a new one's time is estimated


@dataclass(frozen=True, slots=True)
class Built:
    """A machine with all packages built. ``made`` is in Portage's merge order."""

    plan: Plan
    made: Mapping[str, Made]
    built: int
    reused: int
    seconds: float


def resolve_and_plan(context: BuildContext, targets: tuple[str, ...]) -> Builder:
    """Resolve and plan: everything up to the first package. Raises ClocheError.

    Use the builder's context afterwards: it has the parts of a strict machine's seed, and the user
    patches of the machine's packages.
    """
    graph, depgraph = resolve(context, targets)
    if context.inputs.strict:
        seed = context.inputs.base[0]
        parts = strict_parts(
            context.store,
            seed,
            graph.installed,
            lambda text: context.bus(Note(text=text)),
            whole=context.inputs.own_root,
            made_of=context.inputs.made_of,
        )
        context = replace(context, inputs=replace(context.inputs, seed_parts=parts))
    inputs = with_patches(context.store, context.inputs, graph)
    context = replace(context, inputs=inputs)
    plan = make_plan(
        graph,
        own_root=inputs.own_root,
        cross=inputs.cross is not None,
        unrequested=bool(inputs.emerge),
        # In a root of its own, `guest.resolve` makes all of them dependencies at run time.
        build_deps=inputs.with_build_deps and not inputs.own_root,
    )
    own_root.check(context, plan)
    inputs_of = input_digests(context.inputs, graph.packages)
    contests = recalled(context.store, context.inputs.full_name)
    return Builder(context, plan, depgraph, inputs_of, contests=contests)


def build_machine(builder: Builder) -> Built:
    """Carry out a plan. Raises BuildError if a package fails; finished packages are kept.

    Before any work, it raises ClocheError if an ebuild would need network access, ccache is missing
    or the finish cannot be done, and BuildError if a pkg_pretend fails.
    """
    (built,) = build_machines((builder,))
    if isinstance(built, ClocheError):
        raise built
    return built


Tell = Callable[[Sequence[Planned], Together], None]


def build_machines(
    builders: Sequence[Builder], tell: Tell = lambda planned, shared: None
) -> tuple[Built | ClocheError, ...]:
    """Carry out several plans as one; for each what came of it.

    ``tell`` hears the plans, and what they have in common, before anything is built. Raises as
    `build_machine` before any work; of several plans with ``keep_going``, this ends only the one.
    """
    began = time.monotonic()
    going_on = len(builders) > 1 and builders[0].context.policy.keep_going
    shared = together(builders)
    working = [_once_forced(n, builder, shared) for n, builder in enumerate(builders)]
    fates = forecasts(working, shared)
    refused = {n: error for n, own in enumerate(fates) if (error := _refusal(working[n], own))}
    if refused and not going_on:
        raise next(iter(refused.values()))
    if refused:
        left = [builder for n, builder in enumerate(builders) if n not in refused]
        done = iter(build_machines(left, tell) if left else ())
        return tuple(refused.get(n) or next(done) for n in range(len(builders)))
    for builder, own in zip(working, fates, strict=True):
        builder.results.update(
            {name: (each.made, False) for name, each in own.items() if each.made}
        )
    planned = [_planned(*each) for each in zip(working, fates, strict=True)]
    for builder, event in zip(working, planned, strict=True):
        builder.context.bus(event)
    tell(planned, shared)
    unfit: dict[Place, ClocheError] = {}
    for number, builder in enumerate(working):
        own = {id: fates[number][id] for id in shared.worked_on(number)}
        unfit |= {(number, id): each for id, each in _unfit(builder, own, going_on).items()}
    outcome = _carried_out(working, fates, shared, unfit)
    took = time.monotonic() - began
    return tuple(
        _summed(builder, shared.outcome_of(number, builder.plan, outcome), took)
        for number, builder in enumerate(working)
    )


def _refusal(builder: Builder, fates: Mapping[str, Forecast]) -> ClocheError | None:
    """Why nothing of a plan can be built, if so."""
    try:
        ccache.check(builder.context, builder.plan)
        distcc.check(builder.context)
    except ClocheError as error:
        return error
    return live_to_build(builder, fates) or foreseen(builder, fates)


def _once_forced(number: int, builder: Builder, shared: Together) -> Builder:
    """The builder without forced packages that another machine builds again."""
    return replace(builder, forced=builder.forced & shared.worked_on(number))


def forecasts(builders: Sequence[Builder], shared: Together) -> list[dict[str, Forecast]]:
    """Forecast the packages of each plan; those that are alike once."""
    found: list[dict[str, Forecast]] = []
    for number, builder in enumerate(builders):
        firsts = {id: shared.first[number, id] for id in builder.plan.graph.by_id()}
        known = {id: found[n][first] for id, (n, first) in firsts.items() if n < number}
        found.append(forecast(builder, known))
    return found


def _carried_out(
    builders: Sequence[Builder],
    fates: Sequence[Mapping[str, Forecast]],
    shared: Together,
    unfit: Mapping[Place, ClocheError],
) -> Outcome:
    """Fetch ahead and carry out the queue of all plans; what is ``unfit`` fails."""
    policy = builders[0].context.policy
    places = {node(place): place for place in shared.first}
    fetching = ThreadPoolExecutor(FETCHERS, thread_name_prefix="fetch")
    working = ThreadPoolExecutor(at_once(policy.jobs), thread_name_prefix="build")

    def work(name: str, done: Mapping[str, str], leave: Callable[[], None]) -> str:
        number, id = places[name]
        if error := unfit.get((number, id)):
            raise error
        own = {places[n][1]: layer for n, layer in done.items() if places[n][0] == number}
        return builders[number](id, own, leave)

    try:
        for number, builder in enumerate(builders):
            for id in shared.worked_on(number) if not policy.offline else ():
                package = builder.plan.graph.by_id()[id]
                if _wants_sources(builder.context, package, fates[number]):
                    fetching.submit(_fetch_ahead, builder, package)
        return carry_out(
            shared.waits_for([each.plan for each in builders]),
            _urgency(builders, shared),
            work,
            executor=working,
            slots=policy.jobs,
            keep_going=policy.keep_going,
        )
    except BaseException:
        for builder in builders:
            builder.context.running.stop()
        raise
    finally:
        fetching.shutdown(cancel_futures=True)
        working.shutdown(cancel_futures=True)


def _urgency(builders: Sequence[Builder], shared: Together) -> dict[str, float]:
    """Seconds of the longest chain of work after each package, in any of the plans."""
    store = builders[0].context.store
    known: dict[str, float | None] = {}

    def seconds(package: Package) -> float | None:
        if package.id not in known:
            known[package.id] = expected_seconds(store, package)
        return known[package.id]

    found = {
        (number, id): path
        for number, builder in enumerate(builders)
        for id, path in remaining_paths(builder.plan, seconds).items()
    }
    for place, first in shared.first.items():
        found[first] = max(found[first], found[place])
    return {node(place): path for place, path in found.items()}


def _unfit(
    builder: Builder, fates: Mapping[str, Forecast], going_on: bool
) -> dict[str, ClocheError]:
    """Run pkg_pretend of these ebuilds before anything is built; the errors, which are reported.

    Raises BuildError if there are any, unless the build is ``going_on``.
    """
    context = builder.context
    packages = pretend.checked([p for p in builder.plan.packages if p.id in fates], fates)
    errors: dict[str, ClocheError] = {}
    try:
        errors |= {error.package: error for error in pretend.check(context, packages)}
    except GuestError as error:
        if not going_on:
            raise
        errors |= {package.id: error for package in packages}
    for id, each in errors.items():
        builder.report_failure(id, each, 0.0)
    if not errors or going_on:
        return errors
    rest = [package.id for package in builder.plan.packages if package.id not in errors]
    for name in rest:
        context.bus(Done(package=name, how="skipped"))
    context.bus(Finished(built=0, reused=0, failed=len(errors), skipped=len(rest), seconds=0.0))
    raise BuildError(tuple(errors), len(rest), tuple(errors.values()))


def _planned(builder: Builder, fates: Mapping[str, Forecast]) -> Planned:
    context, plan = builder.context, builder.plan
    expected = {}
    for package in plan.packages:
        seconds = _foreseen(context, package, fates[package.id])
        if seconds is not None:
            expected[package.id] = seconds
    names = tuple(package.id for package in plan.packages)
    return Planned(
        machine=context.inputs.machine,
        packages=names,
        edges=reduced(make_order(names, plan.waits_for())),
        expected=expected,
        jobs=context.policy.jobs,
        keep_going=context.policy.keep_going,
        depgraph=builder.depgraph,
        partial=builder.partial,
    )


def _foreseen(context: BuildContext, package: Package, forecast: Forecast) -> float | None:
    """Estimated seconds for a package; None if nothing is known."""
    if forecast.fate == "reuse":
        return 0.0
    merge = expected_seconds(context.store, package, "merge")
    if forecast.fate in ("merge", "fetch"):
        return merge
    build = expected_seconds(context.store, package)
    return None if build is None else build + (merge or 0.0)


def _summed(builder: Builder, outcome: Outcome, seconds: float) -> Built | ClocheError:
    """The outcome of one plan; also ends its record."""
    context = builder.context
    for name, error in outcome.failed.items():
        if not isinstance(error, ClocheError):
            raise error
        if name not in builder.failed:  # it failed for another machine
            builder.report_failure(name, error, 0.0)
    for name in outcome.skipped:
        context.bus(Done(package=name, how="skipped"))
    results = {p.id: builder.results[p.id] for p in builder.plan.packages if p.id in outcome.done}
    built = sum(built for _, built in results.values())
    reused = len(results) - built
    context.bus(
        Finished(
            built=built,
            reused=reused,
            failed=len(outcome.failed),
            skipped=len(outcome.skipped),
            seconds=seconds,
        )
    )
    if outcome.failed:
        errors = tuple(e for e in outcome.failed.values() if isinstance(e, ClocheError))
        for name, error in outcome.failed.items():
            if isinstance(error, StepError) and name in builder.failed:
                explain_again(context, error)
        return BuildError(tuple(outcome.failed), len(outcome.skipped), errors)
    if outcome.skipped:
        return not_finished(context.inputs.machine, len(outcome.skipped))
    made = {name: made for name, (made, _) in results.items()}
    return Built(builder.plan, made, built, reused, seconds)


def expected_seconds(store: Store, package: Package, step: str = "build") -> float | None:
    """Median seconds of earlier runs of a package's step, else of its other versions."""
    durations = store.durations(step, package.id)
    if not durations:
        like = store.durations_like(step, f"{package.cp}-")
        others = [took for name, took in like if cp_of(name.split("::")[0]) == package.cp]
        durations = others[-EARLIER:]
    return sorted(durations)[len(durations) // 2] if durations else None


def _wants_sources(context: BuildContext, package: Package, fates: Mapping[str, Forecast]) -> bool:
    if fates[package.id].fate == "fetch":
        return True
    return fates[package.id].fate in ("build", "perhaps") and bool(
        distfiles.missing(context.store, package.distfiles)
    )


def _fetch_ahead(builder: Builder, package: Package) -> None:
    """Fetch early; failures are reported when the package's turn comes and it is tried again."""
    with suppress(ClocheError):
        fetch.obtain(builder.context, package)
