"""Finishing a machine: the global state that every root generates for itself, as its last layer."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

from cloche.build.errors import StepError
from cloche.build.guestcall import Call, call, tail_of
from cloche.build.logs import new_log
from cloche.build.stages import once
from cloche.build.workshop import Workshop, make_directory
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
        upper = make_directory(workspace, "root")
        sandbox = shop.sandbox(layers, upper=upper, binds=shop.whole_repositories())
        wanted = Call(
            script="finish",
            request={
                "order": [layer.label for layer in layers],
                "world": list(world),
                "world_sets": list(world_sets),
            },
            sandbox=sandbox,
            workspace=workspace,
            log=log,
            environment=shop.environment(),
            timeout=shop.policy.phase_seconds,
        )
        result, _ = call(shop.engine, shop.running, wanted)
        if result.get("status") != "ok":
            text = str(result.get("text") or "the guest failed")
            raise StepError(f"machine/{machine}", "finish", text, log=str(log), tail=tail_of(log))
        tree = workspace / "layer"
        capture(upper / "top", [Path(each) for each in sandbox.lowers], tree, drop=LEFT_BEHIND)
        layer = commit(shop.store, tree, kind="state", label=machine, rules=PORTAGE_RULES)
    return Outcome({"layer": layer.id}, str(log.relative_to(shop.store.logs)))
