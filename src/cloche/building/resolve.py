"""Resolves with Portage's own depgraph, once for each set of inputs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from cloche.building.context import BuildContext
from cloche.building.inputs import check_categories
from cloche.building.metadata import shown_repositories
from cloche.building.stages import once, stage_call
from cloche.building.unresolved import ResolutionError, refusal
from cloche.plan.depgraph import Depgraph, decode_depgraph, encode_depgraph, resolution_of
from cloche.records.logs import new_log
from cloche.sandbox.base import Bind
from cloche.store import Outcome, make_key
from cloche.tasks.guestcall import call

#: The resolution of a machine that only finishes its seed, and its log.
NOTHING: Final[tuple[Depgraph, str | None]] = (Depgraph(()), None)

_CATEGORY: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9+_.-]*")  # PMS 3.1.1


def resolve(context: BuildContext, targets: Sequence[str]) -> tuple[Depgraph, str]:
    """Return Portage's resolution of ``targets`` (atoms and ``@sets``), and its blob's id.

    It depends on the seed, the repositories, the configuration and our own code; if none of them
    has changed, the stored resolution is used. Raises ResolutionError.
    """
    inputs = context.inputs
    parts = {
        "targets": " ".join(targets),
        **({"installed": "told as well"} if inputs.tells_installed else {}),
        "guest": inputs.guest,
        **inputs.key_root,
        **inputs.key_emulated,
        **({"build dependencies": "kept"} if inputs.with_build_deps and inputs.own_root else {}),
        **({"emerge": " ".join(inputs.emerge)} if inputs.emerge else {}),
        **{f"base {layer.kind}": layer.id for layer in inputs.base},
        **{f"repository {repo.name}": repo.tree for repo in inputs.repos.values()},
        **{f"binrepo {host.name}": host.index for host in inputs.binhosts.values()},
        **({"binrepos": " ".join(inputs.binhosts)} if inputs.binhosts else {}),
    }
    outputs = once(
        context, "resolve", make_key("resolve", parts), lambda: _resolved(context, targets)
    )
    blob = context.store.blob(outputs["depgraph"])
    return decode_depgraph(blob.path.read_bytes()), blob.id


def _indexes(context: BuildContext) -> tuple[Bind, ...]:
    """Binds of each binary package host's index, where the guest reads it."""
    hosts = context.inputs.binhosts.values()
    return tuple(Bind(host.path, f"/run/cloche/binhosts/{host.name}/Packages") for host in hosts)


def _resolved(context: BuildContext, targets: Sequence[str]) -> Outcome:
    graph, log = (
        _ask_portage(context, targets) if targets or context.inputs.tells_installed else NOTHING
    )
    with context.store.workspace("resolve") as workspace:
        path = workspace / "depgraph.json"
        path.write_bytes(encode_depgraph(graph))
        blob = context.store.add_blob(path, f"depgraph of {context.inputs.machine}")
    return Outcome({"depgraph": blob.id}, log)


def proposal(context: BuildContext, targets: Sequence[str]) -> str:
    """Portage's messages for ``targets`` with changes of all kinds proposed; "" if none is needed.

    They come from a separate resolution, of which only the log is kept.
    """
    try:
        _ask_portage(context, targets, propose=True)
    except ResolutionError as error:
        return error.text
    return ""


def _ask_portage(
    context: BuildContext, targets: Sequence[str], *, propose: bool = False
) -> tuple[Depgraph, str]:
    machine = context.inputs.machine
    log = new_log(context.store, context.inputs.log_name, "resolve")
    with context.store.workspace("resolve") as workspace:
        request = {
            "atoms": list(targets),
            "installed": context.inputs.tells_installed,
            "binhosts": list(context.inputs.binhosts),
            "propose": propose,
            "root_deps": context.inputs.with_build_deps and context.inputs.own_root,
            "emerge": list(context.inputs.emerge),
        }
        binds = (*shown_repositories(context), *_indexes(context))
        wanted = stage_call(context, "resolve", request, workspace, log, binds=binds)
        result, _ = call(context.engine, context.running, wanted)
    if result.get("status") != "ok":
        if result.get("kind") in ("unknown", "unsatisfied"):
            category = str(result.get("atom") or "").lstrip("<>=~!").partition("/")[0]
            check_categories(context.inputs, (category,) if _CATEGORY.fullmatch(category) else ())
        raise refusal(machine, result, context.inputs.own)
    return resolution_of(result), str(log.relative_to(context.store.logs))
