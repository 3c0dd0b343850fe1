"""A target as a machine of the project: its inputs here, replayed or held as a level demands."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

import msgspec

from cloche.building.configuration import with_etc
from cloche.building.context import BuildContext
from cloche.building.metadata import shown_repositories
from cloche.building.stages import once, stage_call, stage_failed
from cloche.config.errors import Origin
from cloche.config.machine import Machine, Profile
from cloche.config.project import Project
from cloche.errors import ClocheError
from cloche.layers import Layer
from cloche.portage.etc import Content
from cloche.records.logs import new_log
from cloche.seeds.arch import arch_of
from cloche.seeds.stored import find_seed
from cloche.session.choices import Choices
from cloche.session.session import Session
from cloche.store import Outcome, Store, make_key
from cloche.targets.description import Description
from cloche.targets.etc import Versions
from cloche.targets.vdb import vdb_layer
from cloche.tasks.guestcall import GUEST, call

#: What `cloche.portage.etc` decides for every machine; the rest is the target's.
_OURS = ("make.profile", "repos.conf", "bashrc", "categories", "license_groups")


def seed_for(store: Store, project: Project, description: Description) -> str:
    """The seed to build over for a target: the first that is for its CPU. Raises ClocheError."""
    others = []
    for name, spec in project.seeds.items():
        found = find_seed(store, project, spec)
        if found is None:
            others.append(f"{name} is not made yet")
            continue
        arch = arch_of(store.tree(found.layer).path)
        if arch == description.arch:
            return name
        others.append(f"{name} is for {arch}")
    raise ClocheError(
        f"no seed for ARCH={description.arch}",
        where=project.file,
        todo=f"declare and make one ({', '.join(others) or 'there are none'})",
    )


def machine_of(
    project: Project, description: Description, name: str, seed: str, options: tuple[str, ...]
) -> Machine:
    """A machine of the project that stands for a target. Raises ClocheError."""
    repo, _, path = description.profile.partition(":")
    if repo not in project.repos:
        raise ClocheError(
            f"the profile of the target is in the repository {repo}, which is not there",
            where=project.file,
            todo=f"declare [repos.{repo}]",
        )
    return Machine(
        name=name,
        file=project.file,
        root=project.root,
        seed=seed,
        profile=Profile(repo, path, Origin(project.file)),
        emerge=options,
    )


@contextmanager
def opened(
    session: Session,
    machine: Machine,
    etc: Mapping[str, bytes],
    choices: Choices,
    over: Sequence[Layer] = (),
) -> Iterator[BuildContext]:
    """A target's machine with an /etc/portage of its own, its inputs pinned.

    With ``over`` these layers are in the place of its seed.
    """
    with session.context(machine, choices, over) as context:
        inputs = context.inputs
        ours = {name: inputs.etc[name] for name in _OURS if name in inputs.etc}
        files: dict[str, Content] = dict(sorted({**ours, **etc}.items()))
        own = with_etc(context.store, inputs, files)
        own = replace(own, own={}, installed=True, declared=False)
        yield replace(context, inputs=own)


def replaying(context: BuildContext, description: Description) -> BuildContext:
    """The context with what is installed on the target in the place of what the seed has."""
    vdb = vdb_layer(context.store, description)
    base = [each for each in context.inputs.base if each.kind not in ("seed-vdb", "config")]
    config = [each for each in context.inputs.base if each.kind == "config"]
    layers: tuple[Layer, ...] = (*base, vdb, *config)
    return replace(context, inputs=replace(context.inputs, base=layers))


def versions(context: BuildContext, names: Collection[str]) -> Versions:
    """The versions of packages in the repositories, by CATEGORY/PN. Raises StepError."""
    inputs = context.inputs
    parts = {
        "names": " ".join(sorted(names)),
        "guest": inputs.guest,
        "script": hashlib.sha256((GUEST / "versions.py").read_bytes()).hexdigest(),
        **{f"base {layer.kind}": layer.id for layer in inputs.base if layer.kind != "config"},
        **{f"repository {repo.name}": repo.tree for repo in inputs.repos.values()},
    }

    def ask() -> Outcome:
        log = new_log(context.store, inputs.log_name, "versions")
        with context.store.workspace("versions") as workspace:
            request = {"names": sorted(names)}
            shown = shown_repositories(context)
            wanted = stage_call(context, "versions", request, workspace, log, binds=shown)
            result, _ = call(context.engine, context.running, wanted)
        if result.get("status") != "ok":
            raise stage_failed(context, "versions", str(result.get("text")), log)
        return Outcome({}, str(log.relative_to(context.store.logs)), data=result["versions"])

    key = make_key("versions", parts)
    once(context, "versions", key, ask)
    found = context.store.action(key.digest)
    known: Versions = msgspec.convert(found.data if found else {}, Versions)
    return known
