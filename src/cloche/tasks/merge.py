"""The merge step: installs a GPKG over its run-time closure, and keeps the changes as a layer."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from cloche.layers import PORTAGE_RULES, capture, commit
from cloche.portage.view import common_view
from cloche.records import elog
from cloche.records.events import Started
from cloche.records.logs import new_log, put_away
from cloche.sandbox.base import Bind
from cloche.store import Outcome
from cloche.tasks.build import PORTAGE_TMP, failed, sandbox_of, script_of
from cloche.tasks.errors import StepError
from cloche.tasks.guestcall import Call
from cloche.tasks.task import ROOT, MergeTask, Step
from cloche.tasks.watch import watched
from cloche.tasks.worker import Worker, make_directory

# Global state, which every root generates for itself, so that no layer holds it.
GLOBAL_STATE = (
    "etc/ld.so.cache",
    "etc/ld.so.conf",
    "etc/profile.env",
    "etc/csh.env",
    "etc/environment.d/10-gentoo-env.conf",
    "etc/._cfg*",
    "var/cache/edb",
    "var/cache/ldconfig",
    "var/db/pkg/.*",
    "var/db/pkg/*/*/COUNTER",
    "var/lib/gentoo",
    "var/lib/portage",
)
#: Part of the keys of merges into a root of its own; raise it when layers keep other files.
OWN_ROOT_FORMAT = "1"
# In a root of its own, Portage's directory is a package's, whose .keep file stays (keepdir).
OF_OWN_ROOT = (
    *(name for name in GLOBAL_STATE if name != "var/lib/portage"),
    "var/lib/portage/[!.]*",
    "var/lib/portage/.[!k]*",
)
# Over a seed the sandbox has file systems, or directories for its own use, in these places.
OF_SANDBOX = ("run", "tmp", "var/log", "var/tmp")
CALLERS = ("root/.*",)  # what tools leave in the home of their caller
SHOWN = 3  # files that an error names


def merge(task: MergeTask, worker: Worker) -> Outcome:
    """Install a package over its layers; the outcome's "layer" is the id of the changes.

    Raises StepError; then the root of the failure is kept, if the task says so.
    """
    log = new_log(worker.store, task.log_name, "merge")
    worker.bus(Started(package=task.package, step="merge", log=str(log)))
    with worker.store.workspace("merge") as workspace:
        upper = make_directory(workspace, "root")
        packages = make_directory(workspace, "packages")
        os.link(worker.store.blob(task.gpkg).path, packages / f"{task.pf}.gpkg.tar")
        binds = (
            *profile_binds(task, worker),
            Bind(packages, "/run/cloche/out"),
            Bind(make_directory(workspace, "tmp"), PORTAGE_TMP, writable=True),
        )
        wanted = Call(
            script=script_of(task, "merge"),
            step="merge",
            request={
                "cpv": task.cpv,
                "repo": task.repo,
                "root": task.place,
                "gpkg": f"/run/cloche/out/{task.pf}.gpkg.tar",
                "metadata": task.metadata,
                **({"cross": task.cross.for_guest} if task.cross else {}),
            },
            sandbox=sandbox_of(task, worker, upper=upper, binds=binds),
            workspace=workspace,
            log=log,
            environment=task.environment,
            package=task.package,
        )
        result = watched(task, worker, wanted)
        if result.get("status") != "ok":
            raise failed(task, worker, "merge", workspace, result, log)
        tree, lowers = workspace / "layer", [Path(each) for each in wanted.sandbox.lowers]
        if task.root is None:
            capture(upper / "top", lowers, tree, drop=(*GLOBAL_STATE, *OF_SANDBOX))
        else:
            own = [worker.layer(id).path for id in task.root]
            capture_own(task, upper / "top", own, tree, log)
            refuse_outside(task, upper / "top", lowers, log)
        layer = commit(worker.store, tree, kind="package", label=task.cpv, rules=PORTAGE_RULES)
    data = elog.as_data(elog.messages_of(result))
    return Outcome({"layer": layer.id}, put_away(worker.store, task.log_name, log), data=data)


def capture_own(
    task: MergeTask, top: Path, lowers: Sequence[Path], destination: Path, log: Path
) -> None:
    """Capture what changed in the root of its own, which has these layers. Raises StepError."""
    place = top / ROOT.lstrip("/")
    if not stat.S_ISDIR(place.lstat().st_mode):  # a hook has replaced it
        raise outside(task, [ROOT.lstrip("/")], log)
    capture(place, lowers, destination, drop=OF_OWN_ROOT)


def refuse_outside(task: MergeTask, top: Path, lowers: Sequence[Path], log: Path) -> None:
    """See that nothing but the root of its own has changed; that one is no longer in ``top``.

    Raises StepError.
    """
    capture(top, lowers, top, drop=(*GLOBAL_STATE, *OF_SANDBOX, *CALLERS, ROOT.lstrip("/")))
    if found := changed(top):
        raise outside(task, found, log)


def outside(task: MergeTask, found: Sequence[str], log: Path) -> StepError:
    """The error for names outside of the new root that a hook changed."""
    rest = len(found) - SHOWN
    names = ", ".join(f"/{name}" for name in found[:SHOWN])
    return StepError(
        task.package,
        "merge",
        f"wrote outside of the new root: {names}" + (f" and {rest} more" if rest > 0 else ""),
        log=str(log),
        todo="its hooks (pkg_preinst, pkg_postinst …) must put ${ROOT} in front of paths",
    )


def changed(top: Path) -> list[str]:
    """The names of a captured tree that are changes: no directory that only holds some."""
    return sorted(
        str(path.relative_to(top))
        for path in top.rglob("*")
        if path.is_symlink() or not path.is_dir() or not any(path.iterdir())
    )


def profile_binds(task: Step, worker: Worker) -> tuple[Bind, ...]:
    """Binds of the profiles, which Portage's settings need, without ebuilds."""
    trees = {name: worker.store.tree(id).path for name, id in task.repositories.items()}
    return tuple(Bind(source, target) for source, target in common_view(trees))
