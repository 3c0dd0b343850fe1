"""What a target would merge, by its own Portage, and the environments in which it would build."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

from cloche.building.context import BuildContext
from cloche.building.machine import resolve_and_plan
from cloche.plan.depgraph import Package
from cloche.plan.plan import Plan
from cloche.session.choices import Choices
from cloche.session.session import Session
from cloche.targets.description import Description
from cloche.targets.environments import environments, whole
from cloche.targets.etc import code_of, etc_of, stands_for_nothing
from cloche.targets.levels import Environment, Level
from cloche.targets.machines import machine_of, opened, replaying, seed_for
from cloche.targets.repositories import behind, shared_repositories
from cloche.targets.results import Want
from cloche.targets.vdb import installed_of


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a target would merge. ``environments`` are by the ids of the plan's packages."""

    plan: Plan
    environments: Mapping[str, Environment]

    @property
    def wanted(self) -> dict[str, Package]:
        """The packages that the target needs as binary packages: all but tools of builds, by id."""
        by_id = self.plan.graph.by_id()
        return {id: by_id[id] for id in self.plan.members}


def session_for(session: Session, description: Description) -> Session:
    """The session with only those repositories that the target has, too."""
    project = shared_repositories(session.store, session.project, description)
    return replace(session, project=project)


@contextmanager
def replay_context(
    session: Session, name: str, description: Description, options: tuple[str, ...] = ()
) -> Iterator[BuildContext]:
    """The target as it is: its configuration, what is installed there. Raises ClocheError.

    All of its configuration counts, but none of its code runs, since nothing is built.
    """
    seed = seed_for(session.store, session.project, description)
    machine = machine_of(session.project, description, f"{name}/as-it-is", seed, options)
    etc = etc_of(description, Level.CLONE, inject=True)
    with opened(session, machine, etc.files, Choices(offline=True)) as context:
        yield replaying(context, description)


def replay(session: Session, name: str, description: Description, want: Want) -> Replayed:
    """Resolve a want as the target's own emerge does. Raises ResolutionError, ClocheError."""
    with replay_context(session, name, description, want.options) as context:
        plan = resolve_and_plan(context, want.atoms).plan
    installed, code = installed_of(description), code_of(description)
    etc, target = context.inputs.etc, whole(installed)
    return Replayed(plan, environments(plan, installed, etc, code, target))


def notes_of(
    session: Session,
    description: Description,
    *,
    inject: bool,
    expand: Collection[str] | None = None,
) -> Iterator[str]:
    """What of a target cannot be followed here; ``expand`` as for `etc_of`."""
    known = session.project.repos.keys()
    if unknown := sorted(description.repositories.keys() - known):
        yield f"repositories that this host does not have: {', '.join(unknown)}"
    yield from behind(session.store, session.project, description)
    if stands_for_nothing(description):
        yield "compiler flags say “native”, and the target could not tell what that is"
    yield from etc_of(description, Level.FLAGS, inject=inject, expand=expand).notes
