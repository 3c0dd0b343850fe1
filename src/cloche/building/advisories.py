"""Security advisories of repositories (GLSAs, files in metadata/glsa) that concern a machine."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec

from cloche.building.context import BuildContext
from cloche.building.stages import once, stage_call, stage_failed
from cloche.layers import Layer
from cloche.plan.depgraph import Package
from cloche.plan.keys import layer_parts
from cloche.records.logs import new_log
from cloche.store import Outcome, make_key
from cloche.tasks.guestcall import GUEST, call


class Advisory(msgspec.Struct, frozen=True):
    """An advisory by which ``packages`` (CPVs) are vulnerable; ``closed`` if a change ends that."""

    id: str
    title: str
    announced: str
    packages: tuple[str, ...]
    closed: bool


def advisories(
    context: BuildContext,
    layers: Sequence[Layer],
    before: Sequence[Package],
    after: Sequence[Package],
) -> tuple[Advisory, ...]:
    """Advisories of the context's repositories about a machine of these layers and packages.

    ``before`` are its packages as they are, ``after`` those of a plan. Raises StepError.
    """
    places = [
        name
        for name, path in context.inputs.snapshots.items()
        if (path / "metadata/glsa").is_dir() and not (path / "metadata/glsa").is_symlink()
    ]
    if not places:
        return ()
    request = {
        "repositories": places,
        "before": [[each.cpv, each.slot] for each in before],
        "after": [[each.cpv, each.slot] for each in after],
    }
    parts = {
        **{f"repository {name}": context.inputs.repos[name].tree for name in places},
        **{f"base {layer.kind}": layer.id for layer in context.inputs.base},
        **context.inputs.key_root,
        **layer_parts([(layer.label, layer.id) for layer in layers]),
        "request": msgspec.json.encode(request).decode(),
        "guest": context.inputs.guest,
        "script": hashlib.sha256((GUEST / "advisories.py").read_bytes()).hexdigest(),
    }

    def ask() -> Outcome:
        log = new_log(context.store, context.inputs.log_name, "advisories")
        with context.store.workspace("advisories") as workspace:
            wanted = stage_call(context, "advisories", request, workspace, log, layers=layers)
            result, _ = call(context.engine, context.running, wanted)
            if result.get("status") != "ok":
                text = str(result.get("text") or "the guest failed")
                raise stage_failed(context, "advisories", text, log)
            path = workspace / "advisories.json"
            found = msgspec.convert(result.get("advisories"), list[Advisory])
            path.write_bytes(msgspec.json.encode(found))
            blob = context.store.add_blob(path, f"advisories of {context.inputs.machine}")
        return Outcome({"advisories": blob.id}, str(log.relative_to(context.store.logs)))

    outputs = once(context, "advisories", make_key("advisories", parts), ask)
    content = context.store.blob(outputs["advisories"]).path.read_bytes()
    return tuple(msgspec.json.decode(content, type=list[Advisory]))
