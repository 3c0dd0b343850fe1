"""Builds a whole machine: resolves, plans, carries out, records."""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace

from cloche.building import (
    ccache,
    fetch,
    own_root,
    pretend,
)
from cloche.building.context import BuildContext
from cloche.building.errors import BuildError
from cloche.building.forecast import Forecast, forecast, live_to_build
from cloche.building.hints import explain_again
from cloche.building.inputs import input_digests
from cloche.building.packages import Builder, Made
from cloche.building.queue import Outcome, at_once, carry_out
from cloche.building.resolve import resolve
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
from cloche.tasks.errors import StepError

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

    Use the builder's context afterwards: it has the parts of a strict machine's seed.
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
    inputs = context.inputs
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

    Before any work, it raises ClocheError if an ebuild would need network access or ccache is
    missing, and BuildError if a pkg_pretend fails.
    """
    began = time.monotonic()
    context, plan = builder.context, builder.plan
    fates = forecast(builder)
    if (live := live_to_build(builder, fates)) is not None:
        raise live
    ccache.check(context, plan)
    builder.results.update({name: (each.made, False) for name, each in fates.items() if each.made})
    context.bus(_planned(builder, fates))
    _check_pretend(builder, fates)
    fetching = ThreadPoolExecutor(FETCHERS, thread_name_prefix="fetch")
    working = ThreadPoolExecutor(at_once(context.policy.jobs), thread_name_prefix="build")
    try:
        for package in plan.packages:
            if not context.policy.offline and _wants_sources(context, package, fates):
                fetching.submit(_fetch_ahead, builder, package)
        outcome = carry_out(
            plan.waits_for(),
            remaining_paths(plan, lambda package: expected_seconds(context.store, package)),
            builder,
            executor=working,
            slots=context.policy.jobs,
            keep_going=context.policy.keep_going,
        )
    except BaseException:
        context.running.stop()
        raise
    finally:
        fetching.shutdown(cancel_futures=True)
        working.shutdown(cancel_futures=True)
    return _summed(builder, outcome, time.monotonic() - began)


def _check_pretend(builder: Builder, fates: Mapping[str, Forecast]) -> None:
    """Run pkg_pretend of the ebuilds before anything is built. Raises BuildError."""
    context, packages = builder.context, builder.plan.packages
    errors = pretend.check(context, pretend.checked(packages, fates))
    if not errors:
        return
    for error in errors:
        builder.report_failure(error.package, error, 0.0)
    failed = tuple(error.package for error in errors)
    rest = [package.id for package in packages if package.id not in failed]
    for name in rest:
        context.bus(Done(package=name, how="skipped"))
    context.bus(Finished(built=0, reused=0, failed=len(failed), skipped=len(rest), seconds=0.0))
    raise BuildError(failed, len(rest), errors)


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


def _summed(builder: Builder, outcome: Outcome, seconds: float) -> Built:
    context = builder.context
    for error in outcome.failed.values():
        if not isinstance(error, ClocheError):
            raise error
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
        for error in errors:
            if isinstance(error, StepError):
                explain_again(context, error)
        raise BuildError(tuple(outcome.failed), len(outcome.skipped), errors)
    made = {name: made for name, (made, _) in results.items()}
    return Built(builder.plan, made, built, reused, seconds)


def expected_seconds(store: Store, package: Package, step: str = "build") -> float | None:
    """Median seconds of earlier runs of a package's step, else of its other versions."""
    durations = store.durations(step, package.id)
    if not durations:
        cp = f"{package.category}/{package.pn}"
        others = store.durations_like(step, f"{cp}-")
        durations = [took for name, took in others if cp_of(name.split("::")[0]) == cp][-EARLIER:]
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
