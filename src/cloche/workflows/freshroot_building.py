"""Builds under glass what a freshroot's `emerge` asks for, as a machine of the project is built."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from cloche.building.context import BuildContext
from cloche.building.machine import Built, build_machine, resolve_and_plan
from cloche.config.machine import Machine, Profile
from cloche.errors import ClocheError
from cloche.output.binhost import write_packages
from cloche.output.claim import MARKER
from cloche.records.builds import recorded
from cloche.session.building import Result, result_of, with_jobserver
from cloche.session.choices import Choices
from cloche.session.session import Session
from cloche.store import Store
from cloche.targets.machines import opened
from cloche.workflows.freshroot import Ground, named
from cloche.workflows.freshroot_request import Request, atoms_of, etc_for, found_in


def build(
    session: Session,
    ground: Ground,
    request: Request,
    into: Path,
    pin: str,
    choices: Choices = Choices(),
) -> Result:
    """Build what was asked for; the packages go to ``into``/binpkgs, with their index.

    ``pin`` is the freshroot's, and keeps the results, in addition to those of earlier requests.

    The keys of the builds are those of machines over the same seed: each reuses what the other
    has. Raises ResolutionError, BuildError, ClocheError.
    """
    with _context(session, ground, request, choices) as context:
        store, place, count = context.store, context.inputs.place, context.policy.records
        with (
            recorded(store, context.bus, place, context.inputs.machine, count=count),
            with_jobserver(context, session.slots) as working,
        ):
            builder = resolve_and_plan(working, atoms_of(request))
            found = found_in(builder.plan.graph, request)
            done = build_machine(builder)
            packages = [(package, done.made[package.id].gpkg) for package in found]
            into.mkdir(mode=0o755)
            written = write_packages(working, packages, into, session.project.root)
            (written.path / MARKER).unlink()  # it names the project's place on this host
            _keep(store, pin, done, written.blob)
    return result_of(ground.name, done)


@contextmanager
def _context(
    session: Session, ground: Ground, request: Request, choices: Choices
) -> Iterator[BuildContext]:
    """The inputs of the ground with the /etc/portage that the root has now."""
    machine = _with_profile(session, named(ground), request.profile)
    with opened(session, machine, etc_for(request), choices) as context:
        yield context


def _with_profile(session: Session, machine: Machine, profile: str) -> Machine:
    """The machine with the profile that was chosen in the root. Raises ClocheError."""
    repo, _, path = profile.partition(":")
    if not profile:
        return machine
    if repo not in session.project.repos or {"", ".", ".."} & set(path.split("/")):
        todo = "choose a profile of a repository that the project declares"
        raise ClocheError(f"{profile} cannot be used", where="the profile", todo=todo)
    return replace(machine, profile=Profile(repo, path, machine.profile.origin))


def _keep(store: Store, name: str, done: Built, index: str) -> None:
    before = store.pin_of(name)
    trees = {made.layer for made in done.made.values()}
    blobs = {index, *(made.gpkg for made in done.made.values())}
    if before is not None:
        trees |= {id for id in before.trees if store.has_tree(id)}
        blobs |= {id for id in before.blobs if store.has_blob(id)}
    store.pin(name, sorted(trees), sorted(blobs), {})
