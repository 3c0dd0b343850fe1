"""Resolving: Portage's own depgraph, once for each set of inputs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from cloche.build.categories import check_categories
from cloche.build.guestcall import call
from cloche.build.logs import new_log
from cloche.build.metadata import shown_repositories
from cloche.build.stages import once, stage_call
from cloche.build.unresolved import ResolutionError, refusal
from cloche.build.workshop import Workshop
from cloche.engines.base import Bind
from cloche.plan.depgraph import Depgraph, decode_depgraph, encode_depgraph, resolution_of
from cloche.store import Outcome, make_key

_CATEGORY: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9+_.-]*")  # PMS 3.1.1


def resolve(shop: Workshop, targets: Sequence[str]) -> tuple[Depgraph, str]:
    """Give Portage's resolution of ``targets`` (atoms and ``@sets``), and its blob's id.

    It depends on the seed, the repositories, the configuration and our own code; when none of them
    changed, the resolution of the last time is read again. Raises ResolutionError.
    """
    inputs = shop.inputs
    parts = {
        "targets": " ".join(targets),
        **({"installed": "told as well"} if inputs.strict else {}),
        "guest": inputs.guest,
        **{f"base {layer.kind}": layer.id for layer in inputs.base},
        **{f"repository {repo.name}": repo.tree for repo in inputs.repos.values()},
        **{f"binrepo {host.name}": host.index for host in inputs.binhosts.values()},
        **({"binrepos": " ".join(inputs.binhosts)} if inputs.binhosts else {}),
    }
    outputs = once(shop, "resolve", make_key("resolve", parts), lambda: _resolved(shop, targets))
    blob = shop.store.blob(outputs["depgraph"])
    return decode_depgraph(blob.path.read_bytes()), blob.id


def _indexes(shop: Workshop) -> tuple[Bind, ...]:
    """Binds that show the index of each binary package host, where the guest looks for it."""
    hosts = shop.inputs.binhosts.values()
    return tuple(Bind(host.path, f"/run/cloche/binhosts/{host.name}/Packages") for host in hosts)


def _resolved(shop: Workshop, targets: Sequence[str]) -> Outcome:
    graph, log = _ask_portage(shop, targets)
    with shop.store.workspace("resolve") as workspace:
        path = workspace / "depgraph.json"
        path.write_bytes(encode_depgraph(graph))
        blob = shop.store.add_blob(path, f"depgraph of {shop.inputs.machine}")
    return Outcome({"depgraph": blob.id}, log)


def proposal(shop: Workshop, targets: Sequence[str]) -> str:
    """What Portage says of ``targets`` when it may propose changes of all kinds; "" if all is well.

    Its words come from a resolution of their own, of which nothing is kept but the log.
    """
    try:
        _ask_portage(shop, targets, propose=True)
    except ResolutionError as error:
        return error.text
    return ""


def _ask_portage(
    shop: Workshop, targets: Sequence[str], *, propose: bool = False
) -> tuple[Depgraph, str]:
    machine = shop.inputs.machine
    log = new_log(shop.store, f"machine/{machine}", "resolve")
    with shop.store.workspace("resolve") as workspace:
        request = {
            "atoms": list(targets),
            "installed": shop.inputs.strict,
            "binhosts": list(shop.inputs.binhosts),
            "propose": propose,
        }
        binds = (*shown_repositories(shop), *_indexes(shop))
        wanted = stage_call(shop, "resolve", request, workspace, log, binds=binds)
        result, _ = call(shop.engine, shop.running, wanted)
    if result.get("status") != "ok":
        if result.get("kind") in ("unknown", "unsatisfied"):
            category = str(result.get("atom") or "").lstrip("<>=~!").partition("/")[0]
            check_categories(shop.inputs, (category,) if _CATEGORY.fullmatch(category) else ())
        raise refusal(machine, result, shop.inputs.own)
    return resolution_of(result), str(log.relative_to(shop.store.logs))
