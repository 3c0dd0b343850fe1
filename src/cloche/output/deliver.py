"""From built packages to what the user takes away: finish, pack, index, remember."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from cloche.audit.survey import blob_of
from cloche.building.finish import finish
from cloche.building.finish_steps import finish_steps
from cloche.building.initramfs import make_initramfs
from cloche.building.kernels import without_repository
from cloche.building.liveahead import remembered_sources
from cloche.building.machine import Built
from cloche.building.metadata import remembered_caches
from cloche.building.modules_index import index_modules
from cloche.building.packages import Builder, Made, NotMergedError
from cloche.composing import contests as contests_of
from cloche.composing import hooks
from cloche.config.machine import Machine
from cloche.layers import Layer
from cloche.output import directories
from cloche.output.claim import check_directory
from cloche.output.end import end_digest
from cloche.output.finished import Finished, Written
from cloche.output.images import write_images
from cloche.output.kinds import KINDS, wanted
from cloche.output.modules import sign_modules
from cloche.output.needs import check_needs
from cloche.output.sealed import Revealed
from cloche.output.secrets import sweep
from cloche.records.events import Note
from cloche.store import names

#: Steps that may use signed modules and the initramfs, or remove what makes these.
AFTER_KERNEL = frozenset({"hook", "remove", "empty", "unmerge"})


def check_outputs(machine: Machine, directory: Path) -> None:
    """See that a machine's outputs may go there, before hours of work are spent on them."""
    check_directory(directory)
    for name in wanted(machine):
        KINDS[name].check(directory)
    for image in machine.images:
        directories.check(image, directory)


def deliver(
    builder: Builder,
    built: Built,
    machine: Machine,
    directory: Path,
    secrets: Sequence[Revealed] = (),
) -> dict[str, Written]:
    """Write a machine's outputs, by their kinds, with these secrets.

    Raises StepError, ClocheError.
    """
    directory.mkdir(parents=True, exist_ok=True)
    by_id = built.plan.graph.by_id()
    packages = tuple((by_id[name], built.made[name].gpkg) for name in built.plan.members)
    whole = layers_of(builder, built, machine, secrets)
    if builder.context.inputs.own_root:
        bottom, refuse = builder.context.inputs.bottom, machine.needs == "refuse"
        check_needs(builder.context, (*bottom, *whole), refuse=refuse)
    in_root = tuple(each for each in secrets if not each.secret.key)
    done = Finished(builder.context, machine, whole, packages, directory, in_root, builder.copied)
    sweep(directory)
    outputs = {name: KINDS[name].write(done) for name in wanted(machine)} | write_images(done)
    blobs = tuple(each.blob for each in outputs.values())
    remember(builder, machine, layers=done.layers, blobs=blobs)
    return outputs


def layers_of(
    builder: Builder, built: Built, machine: Machine, secrets: Sequence[Revealed] = ()
) -> tuple[Layer, ...]:
    """All layers of a finished machine over its base: packages, state, its own steps.

    Modules are signed if their key is among the secrets. Raises StepError, ClocheError.
    """
    layers = _members(builder, built.made)
    check_hooks(builder, layers, built.plan.members)
    selected = "--oneshot" not in machine.emerge
    sets = [f"@{name}" for name in machine.sets if selected]
    by_id = built.plan.graph.by_id()
    world = [asked.atom for asked in machine.packages if selected]
    order = [by_id[name].cpv for name in built.plan.merged]
    state = finish(
        builder.context,
        layers,
        order=order,
        world=world,
        world_sets=sets,
        keep_world=machine.keep_world,
    )
    whole = (*layers, state, *without_repository(builder.context))
    return _finished(builder, machine, whole, secrets)


def _finished(
    builder: Builder, machine: Machine, whole: tuple[Layer, ...], secrets: Sequence[Revealed]
) -> tuple[Layer, ...]:
    """A root with its steps done. Modules are signed, and the initramfs is made, after files and
    accounts are there, and before the first step that may need these or take something away.
    """
    context, kernel, steps = builder.context, machine.kernel, machine.finish
    if kernel is not None:
        whole += index_modules(context, kernel, whole)
    if kernel is None or not (kernel.signing or kernel.initramfs):
        return whole + finish_steps(context, steps, whole, builder.copied)
    kinds = [step.kind for step in steps]
    first = next((at for at, kind in enumerate(kinds) if kind in AFTER_KERNEL), len(steps))
    whole += finish_steps(context, steps[:first], whole, builder.copied)
    if kernel.signing:
        key = next((each.content for each in secrets if each.secret == kernel.signing.key), None)
        root = (*context.inputs.bottom, *whole)
        whole += sign_modules(context, kernel.signing, root, key)
    whole += make_initramfs(context, kernel, whole)
    return whole + finish_steps(context, steps[first:], whole, builder.copied)


def check_hooks(builder: Builder, layers: Sequence[Layer], members: Sequence[str]) -> None:
    """Warn of members that change what others own. Raises StepError where that is an error."""
    by_id, context = builder.plan.graph.by_id(), builder.context
    packages = [by_id[name] for name in members]
    parts = builder.context.inputs.seed_parts
    bottom = (*builder.context.inputs.ground, *(parts.visible(parts.layers) if parts else ()))
    found = hooks.changes(packages, layers, builder.contests)
    if not builder.context.inputs.own_root:
        found += hooks.losses(packages, layers, bottom, builder.contests)
    hooks.refuse(found, strict=context.policy.strict_hooks)
    for each in found:
        context.bus(Note(text=f"{each.culprit} {each.text}", level="warning"))


def check_hooks_of_done(builder: Builder, made: Mapping[str, Made]) -> None:
    """The same for a machine whose every member is done already; nothing for any other."""
    members = builder.plan.members
    if made.keys() >= set(members):
        with suppress(NotMergedError):
            check_hooks(builder, _members(builder, made, look=True), members)


def _members(
    builder: Builder, made: Mapping[str, Made], *, look: bool = False
) -> tuple[Layer, ...]:
    """The layers of a machine's members, for the whole seed: a strict machine delivers that."""
    inputs = builder.context.inputs
    parts = None if inputs.own_root else inputs.seed_parts
    seed = parts.visible(parts.layers) if parts else ()
    where = f"machine {inputs.machine}"
    return builder.layers(builder.plan.members, made, seed, where=where, look=look)


def remember(
    builder: Builder,
    machine: Machine,
    *,
    layers: Sequence[Layer] = (),
    blobs: tuple[str, ...] = (),
) -> None:
    """Pin what was made, so that garbage collection leaves it. Also after a failure.

    ``layers`` are all of the finished machine's, state and finish last. Without them it is not
    finished, and what an earlier run finished stays pinned beside what is new.
    """
    results = [made for made, _ in builder.results.values()]
    context, inputs = builder.context, builder.context.inputs
    trees = {made.layer for made in results} | {layer.id for layer in inputs.base}
    trees |= builder.composed | {repo.tree for repo in inputs.repos.values()}
    trees |= {layer.id for layer in inputs.tools.values()}
    trees |= remembered_caches(context) | remembered_sources(builder)
    parts = inputs.seed_parts
    trees |= parts.trees if parts else set()
    trees |= {inputs.interpreters.id} if inputs.interpreters else set()
    kept = {made.gpkg for made in results} | set(blobs) | {builder.depgraph}
    before = context.store.pin_of(names.machine(machine.place, machine.name))
    data = {}
    if not layers:
        if before is not None:
            trees |= set(before.trees)
            kept |= set(before.blobs)
            data = dict(before.data)
    else:
        trees |= {layer.id for layer in layers}
        contests = contests_of.remember(context.store, inputs.full_name, builder.contests)
        surveys = blob_of(context.store, inputs.full_name) if inputs.own_root else None
        kept |= {blob for blob in (contests, surveys) if blob}
        data = {
            "project": str(machine.root),
            "machine": machine.name,
            "base": [layer.id for layer in inputs.bottom],
            "layers": [layer.id for layer in layers],
            "depgraph": builder.depgraph,
            "end": end_digest(machine, inputs, builder.copied),
        }
    context.store.pin(names.machine(machine.place, machine.name), sorted(trees), sorted(kept), data)
