"""The merge step: a GPKG installed over its run-time closure, and what changed kept as a layer."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from cloche.building import build as building
from cloche.building import (
    kept_roots,
    views,
)
from cloche.building.context import BuildContext, make_directory
from cloche.layers import PORTAGE_RULES, Layer, capture, commit
from cloche.plan.depgraph import Package
from cloche.records import elog
from cloche.records.events import Started
from cloche.records.logs import new_log
from cloche.sandbox.base import Bind
from cloche.store import Outcome
from cloche.tasks.guestcall import Call

# Global state: every root generates it for itself, so no layer holds it (facts of Portage's merge).
GLOBAL_STATE = (
    "etc/ld.so.cache",
    "etc/ld.so.conf",
    "etc/profile.env",
    "etc/csh.env",
    "etc/environment.d/10-gentoo-env.conf",
    "etc/._cfg*",
    "run",
    "tmp",
    "var/cache/edb",
    "var/cache/ldconfig",
    "var/db/pkg/.*",
    "var/db/pkg/*/*/COUNTER",
    "var/lib/gentoo",
    "var/lib/portage",
    "var/log",
    "var/tmp",
)


def merge(context: BuildContext, package: Package, gpkg: str, layers: Sequence[Layer]) -> Outcome:
    """Install a package over these layers; the outcome's "layer" is the id of what changed.

    Raises StepError; then the root it happened in is kept for ``cloche shell``.
    """
    log = new_log(context.store, package.cpv, "merge")
    context.bus(Started(package=package.id, step="merge", log=str(log)))
    with context.store.workspace("merge") as workspace:
        upper = make_directory(workspace, "root")
        inside = f"/run/cloche/out/{package.pf}.gpkg.tar"
        packages = make_directory(workspace, "packages")
        os.link(context.store.blob(gpkg).path, packages / f"{package.pf}.gpkg.tar")
        sandbox = context.sandbox(
            layers,
            upper=upper,
            binds=(
                *views.for_merge(context.inputs),
                Bind(packages, "/run/cloche/out"),
                Bind(make_directory(workspace, "tmp"), building.PORTAGE_TMP, writable=True),
            ),
        )
        wanted = Call(
            script="merge",
            request={
                "cpv": package.cpv,
                "repo": package.repo,
                "gpkg": inside,
                "metadata": package.binary.metadata if package.binary else {},
            },
            sandbox=sandbox,
            workspace=workspace,
            log=log,
            environment=context.environment(),
            package=package.id,
        )
        result = building.run(context, package, wanted)
        if result.get("status") != "ok":
            kept_roots.keep(context, package, "merge", workspace, layers)
            raise building.explain(context, package, "merge", result, log)
        tree = workspace / "layer"
        capture(upper / "top", [Path(each) for each in sandbox.lowers], tree, drop=GLOBAL_STATE)
        layer = commit(context.store, tree, kind="package", label=package.cpv, rules=PORTAGE_RULES)
    data = elog.as_data(elog.messages_of(result))
    return Outcome({"layer": layer.id}, building.put_away(context, package, log), data=data)
