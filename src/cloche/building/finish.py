"""Finishes a machine: global state that every root generates for itself, as its last layer."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cloche.building.context import BuildContext
from cloche.building.metadata import shown_repositories
from cloche.building.stages import once, stage_call, stage_failed
from cloche.layers import PORTAGE_RULES, Layer, capture, commit
from cloche.plan.keys import layer_parts
from cloche.records.logs import new_log
from cloche.store import Outcome, make_key
from cloche.tasks.guestcall import call

# Leftovers of the finishing run itself.
LEFT_BEHIND = ("run", "tmp", "var/tmp", "var/log", "var/cache/ldconfig", "root/.*")

BARE = re.compile(r"[\w+.-]+/[\w+-]+")  # an atom without version, slot, USE flags, repository


def finish(
    context: BuildContext,
    layers: Sequence[Layer],
    *,
    order: Sequence[str],
    world: Sequence[str],
    world_sets: Sequence[str],
    keep_world: bool = False,
) -> Layer:
    """Make the machine's state layer: counters, world files, caches.

    ``layers`` are those of its members, composed; ``order`` their CPVs in the order in which
    Portage merges them. With ``keep_world`` the seed's world files stay, and these atoms and sets
    are added. Raises StepError.
    """
    key = make_key(
        "finish",
        {
            **context.inputs.key_base,
            **layer_parts([(layer.label, layer.id) for layer in layers]),
            "order": " ".join(order),
            "world": " ".join(world),
            "world sets": " ".join(world_sets),
            **({"seed's world": "kept"} if keep_world else {}),
            **_repositories(context, world),
        },
    )

    request = {
        "order": list(order),
        "world": list(world),
        "world_sets": list(world_sets),
        "keep_world": keep_world,
    }
    outputs = once(context, "finish", key, lambda: _run(context, layers, request))
    return context.layer(outputs["layer"])


def _repositories(context: BuildContext, world: Sequence[str]) -> dict[str, str]:
    """Parts of the key for what the world file depends on besides the atoms.

    Portage leaves out the profile's system set, and records a slot if the atom names one and the
    repositories have several. Most atoms are bare names, for which their ebuilds suffice.
    """
    if not world:
        return {}
    parts = {"profile": ":".join(context.inputs.profile)}
    if not all(BARE.fullmatch(atom) for atom in world):
        trees = {f"repository {repo.name}": repo.tree for repo in context.inputs.repos.values()}
        return {**parts, **trees, "config": context.inputs.base[-1].id}
    digest = hashlib.sha256()
    for name, path in context.inputs.snapshots.items():
        files = [file for atom in world for file in path.glob(f"{atom}/*.ebuild")]
        for file in sorted({*files, *path.glob("profiles/**/packages")}):
            if file.is_file():
                content = hashlib.sha256(file.read_bytes()).hexdigest()
                digest.update(f"{name} {file.relative_to(path)}\0{content}\0".encode())
    return {**parts, "world's ebuilds": digest.hexdigest()}


def _run(context: BuildContext, layers: Sequence[Layer], request: Mapping[str, Any]) -> Outcome:
    machine = context.inputs.machine
    log = new_log(context.store, context.inputs.log_name, "finish")
    with context.store.workspace("finish") as workspace:
        # With their caches: Portage reads the metadata of all ebuilds whose packages are in the
        # world file, and would start a shell for each.
        binds = shown_repositories(context)
        wanted = stage_call(context, "finish", request, workspace, log, layers=layers, binds=binds)
        result, _ = call(context.engine, context.running, wanted)
        if result.get("status") != "ok":
            raise stage_failed(
                context, "finish", str(result.get("text") or "the guest failed"), log
            )
        tree, lowers = workspace / "layer", [Path(each) for each in wanted.sandbox.lowers]
        drop: tuple[str, ...] = LEFT_BEHIND
        if context.inputs.own_root:  # nothing runs in that root
            lowers, drop = [layer.path for layer in layers], ()
        top = workspace / "root/top" / context.root.lstrip("/")
        capture(top, lowers, tree, drop=drop)
        layer = commit(context.store, tree, kind="state", label=machine, rules=PORTAGE_RULES)
    return Outcome({"layer": layer.id}, str(log.relative_to(context.store.logs)))
