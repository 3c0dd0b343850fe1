"""Finishing a machine: the global state that every root generates for itself, as its last layer."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

from cloche.build.guestcall import call
from cloche.build.logs import new_log
from cloche.build.stages import once, stage_call, stage_failed
from cloche.build.workshop import Workshop
from cloche.layers import PORTAGE_RULES, Layer, capture, commit
from cloche.plan.keys import layer_parts
from cloche.store import Outcome, make_key

# What the finishing run itself leaves behind and no machine needs.
LEFT_BEHIND = ("run", "tmp", "var/tmp", "var/log", "var/cache/ldconfig", "root/.*")

BARE = re.compile(r"[\w+.-]+/[\w+-]+")  # an atom without version, slot, USE flags, repository


def finish(
    shop: Workshop,
    layers: Sequence[Layer],
    *,
    world: Sequence[str],
    world_sets: Sequence[str],
) -> Layer:
    """Give the machine's state layer: counters, world files, caches.

    ``layers`` are those of its members, composed. Raises StepError.
    """
    key = make_key(
        "finish",
        {
            **shop.inputs.key_base,
            **layer_parts([(layer.label, layer.id) for layer in layers]),
            "world": " ".join(world),
            "world sets": " ".join(world_sets),
            **_repositories(shop, world),
        },
    )

    outputs = once(shop, "finish", key, lambda: _run(shop, layers, world, world_sets))
    return shop.layer(outputs["layer"])


def _repositories(shop: Workshop, world: Sequence[str]) -> dict[str, str]:
    """Parts of the key for what the world file depends on beside the atoms.

    Portage leaves out what is in the profile's system set; it notes a slot where the atom names one
    and the repositories have several. Most atoms are bare names, for which their ebuilds will do.
    """
    if not world:
        return {}
    parts = {"profile": ":".join(shop.inputs.profile)}
    if not all(BARE.fullmatch(atom) for atom in world):
        trees = {f"repository {repo.name}": repo.tree for repo in shop.inputs.repos.values()}
        return {**parts, **trees, "config": shop.inputs.base[-1].id}
    digest = hashlib.sha256()
    for name, path in shop.inputs.snapshots.items():
        files = [file for atom in world for file in path.glob(f"{atom}/*.ebuild")]
        for file in sorted({*files, *path.glob("profiles/**/packages")}):
            if file.is_file():
                content = hashlib.sha256(file.read_bytes()).hexdigest()
                digest.update(f"{name} {file.relative_to(path)}\0{content}\0".encode())
    return {**parts, "world's ebuilds": digest.hexdigest()}


def _run(
    shop: Workshop, layers: Sequence[Layer], world: Sequence[str], world_sets: Sequence[str]
) -> Outcome:
    machine = shop.inputs.machine
    log = new_log(shop.store, f"machine/{machine}", "finish")
    with shop.store.workspace("finish") as workspace:
        request = {
            "order": [layer.label for layer in layers],
            "world": list(world),
            "world_sets": list(world_sets),
        }
        wanted = stage_call(shop, "finish", request, workspace, log, layers=layers)
        result, _ = call(shop.engine, shop.running, wanted)
        if result.get("status") != "ok":
            raise stage_failed(shop, "finish", str(result.get("text") or "the guest failed"), log)
        tree, lowers = workspace / "layer", [Path(each) for each in wanted.sandbox.lowers]
        capture(workspace / "root/top", lowers, tree, drop=LEFT_BEHIND)
        layer = commit(shop.store, tree, kind="state", label=machine, rules=PORTAGE_RULES)
    return Outcome({"layer": layer.id}, str(log.relative_to(shop.store.logs)))
