"""The build step: visible layers, a writable top, Portage's own phases, a GPKG in the store."""

from __future__ import annotations

import contextlib
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cloche.distcc.forwarding import forwarding, hosts_of
from cloche.layers import Layer
from cloche.portage.cpv import split_cpv
from cloche.portage.view import package_view
from cloche.records import elog
from cloche.records.events import Note, Started
from cloche.records.logs import new_log, put_away
from cloche.sandbox.base import Bind, Sandbox
from cloche.store import Outcome
from cloche.tasks import distfiles, kept_roots
from cloche.tasks.errors import StepError
from cloche.tasks.guestcall import Call, tail_of
from cloche.tasks.task import BuildTask, LiveSources, Step
from cloche.tasks.watch import watched
from cloche.tasks.worker import Worker, make_directory

PORTAGE_TMP = "/var/tmp/portage"  # noqa: S108 - inside of a sandbox
LIVE = "var/lib/cloche/live"
"""Path of a live ebuild's sources in a build: on the overlay, so that eclasses can write there."""

CCACHE_SIZE = 1 << 30
"""Bytes that the compile cache of a package may have."""

TAIL = 20_000  # last lines of a failed log that are searched
_FILE_NAME = re.compile(r"[\w+.-]+\.gpkg\.tar", re.ASCII)


def build(task: BuildTask, worker: Worker) -> Outcome:
    """Build a package over its visible layers; the outcome's "gpkg" is its blob's id.

    If the task has a compile cache and this has changed, "ccache" is the blob of its new tarball.
    Raises StepError; then the root of the failure is kept, if the task says so.
    """
    log = new_log(worker.store, task.log_name, "build")
    worker.bus(Started(package=task.package, step="build", log=str(log)))
    with worker.store.workspace("build") as workspace, distributing(task, worker, workspace) as way:
        wanted = Call(
            script=script_of(task, "build"),
            step="build",
            request=request_of(task),
            sandbox=sandbox_of(
                task,
                worker,
                upper=make_directory(workspace, "root"),
                binds=(*build_binds(task, worker, workspace), *ccache_bind(task, worker), *way),
            ),
            workspace=workspace,
            log=log,
            environment=task.environment | jobs(task),
            package=task.package,
        )
        result = watched(task, worker, wanted)
        if result.get("status") != "ok":
            raise failed(task, worker, "build", workspace, result, log)
        gpkg = taken(workspace / "out", str(result.get("gpkg")), task.package)
        outputs = {"gpkg": worker.store.add_blob(gpkg, task.cpv).id}
        if (cache := changed_cache(task, workspace / "out")) is not None:
            outputs["ccache"] = worker.store.add_blob(cache, f"ccache of {task.cpv}").id
    data = elog.as_data(elog.messages_of(result))
    return Outcome(outputs, put_away(worker.store, task.log_name, log), data=data)


def script_of(task: Step, step: str) -> str:
    """The guest's script of a step; that for another CPU does both."""
    return "cross" if task.cross else step


def jobs(task: BuildTask) -> dict[str, str]:
    """Variables that differ between hosts and must not change results: the number of jobs."""
    number = task.cores + (task.distcc.slots if task.distcc else 0)
    return {"NINJAOPTS": f"-j{number}", "MAKEOPTS": ""}


def request_of(task: BuildTask) -> dict[str, Any]:
    """The request of the guest's build script."""
    return {
        "cpv": task.cpv,
        "repo": task.repo,
        "root": task.place,
        "use": list(task.use),
        **({"cross": task.cross.for_guest} if task.cross else {}),
        "environment": task.variables | (task.live.environment if task.live else {}),
        "ccache": task.ccache
        and {"compilers": task.ccache.compilers, "size": f"{CCACHE_SIZE >> 20}Mi"},
        "distcc": task.distcc and {"slots": task.distcc.slots},
    }


def sandbox_of(
    task: Step, worker: Worker, *, upper: Path, binds: tuple[Bind, ...], live: Layer | None = None
) -> Sandbox:
    """The root of a task: what is visible, and a writable top in ``upper``."""
    layers = [worker.layer(id) for id in task.layers]
    if isinstance(task, BuildTask) and task.live:
        layers.append(worker.layer(task.live.tree))
    base = [worker.layer(id) for id in task.base]
    root = None if task.root is None else [worker.layer(id) for id in task.root]
    return worker.sandbox(
        base,
        layers,
        root=root,
        upper=upper,
        binds=binds,
        limits=task.limits,
        cross=task.cross,
        interpreters=task.interpreters,
    )


def build_binds(
    task: BuildTask, worker: Worker, workspace: Path, *, distdir: Path | None = None
) -> tuple[Bind, ...]:
    """Make the directories of a build step in its workspace; return their binds.

    A ``distdir`` of the caller's is bound as it is, writable.
    """
    temporary = make_directory(workspace, "tmp")
    output = make_directory(workspace, "out")
    sources = distdir or make_directory(workspace, "distdir")
    if distdir is None:
        distfiles.show(worker.store, task.distfiles, sources)
        for name in live_names(task.live, worker):
            (sources / name).symlink_to(f"/{LIVE}/{name}")
    return (
        *package_binds(task, worker),
        Bind(temporary, PORTAGE_TMP, writable=True),
        Bind(output, "/run/cloche/out", writable=True),
        Bind(sources, "/run/cloche/distdir", writable=distdir is not None),
        *worker.jobserver_bind(),
    )


def ccache_bind(task: BuildTask, worker: Worker) -> tuple[Bind, ...]:
    """The bind of the compile cache; empty if there is none yet."""
    return tuple(Bind(worker.store.blob(id).path, "/run/cloche/ccache.tar") for id in task.blobs)


@contextlib.contextmanager
def distributing(task: BuildTask, worker: Worker, workspace: Path) -> Iterator[tuple[Bind, ...]]:
    """The bind of the way to hosts that compile, which is open during a block."""
    nature = worker.engine.nature if task.distcc else None
    if task.distcc is None or nature is None or not (nature.shares_kernel or nature.sockets):
        yield ()
        return
    path, hosts = workspace / "distcc", hosts_of(task.distcc.hosts)
    with forwarding(hosts, task.distcc.layers, path):
        yield (Bind(path, "/run/cloche/distcc"),)
    for host, reason in hosts.news():
        text = f"[build] distcc: {host} does not compile: {reason}"
        worker.bus(Note(text=text, level="warning"))


def changed_cache(task: BuildTask, directory: Path) -> Path | None:
    """The compile cache that the guest left, if it may be kept: it may have any content."""
    path = directory / "ccache.tar"
    with contextlib.suppress(OSError):
        info = path.lstat()
        if task.ccache and stat.S_ISREG(info.st_mode) and info.st_size <= 2 * CCACHE_SIZE:
            return path
    return None


def package_binds(task: BuildTask, worker: Worker) -> tuple[Bind, ...]:
    """Profiles, the inherited eclasses one by one, and the package's own files."""
    trees = {name: worker.store.tree(id).path for name, id in task.repositories.items()}
    view = package_view(trees, task.masters, task.repo, split_cpv(task.cpv), task.inherited)
    return tuple(Bind(source, target) for source, target in view)


def live_names(live: LiveSources | None, worker: Worker) -> tuple[str, ...]:
    """Names in a live ebuild's DISTDIR besides distfiles."""
    if live is None:
        return ()
    return tuple(sorted(path.name for path in (worker.layer(live.tree).path / LIVE).iterdir()))


def taken(directory: Path, name: str, package: str) -> Path:
    """Check and return the path of the guest's file: output of a sandbox is untrusted."""
    path = directory / name
    with contextlib.suppress(OSError):
        if _FILE_NAME.fullmatch(name) and stat.S_ISREG(path.lstat().st_mode):
            return path
    raise StepError(package, "build", f"the guest left no package named {name!r}")


def failed(
    task: Step,
    worker: Worker,
    step: kept_roots.Step,
    workspace: Path,
    result: dict[str, Any],
    log: Path,
) -> StepError:
    """Keep the root of a failed step, if the task says so; return the error."""
    error = step_error(task.package, step, result, log)
    if task.kept_as is not None:
        try:
            kept_roots.keep(task, worker.store, step, workspace)
        except OSError as trouble:  # a full disk, which the step may have failed of
            worker.store.discard(worker.store.failed / task.kept_as)
            text = f"{task.cpv}: its root is not kept: {trouble.strerror or trouble}"
            worker.bus(Note(text=text, level="warning"))
    return error


def step_error(package: str, step: str, result: dict[str, Any], log: Path) -> StepError:
    """Turn a failed result and its log into an error with the lines that matter."""
    from cloche.records.errorlines import error_lines, why_it_died

    phase, text = result.get("phase"), str(result.get("text") or "")
    reason = why_it_died(text) or f"phase {phase}"
    if phase and not reason.startswith(f"phase {phase}"):
        reason = f"phase {phase}: {reason}"
    lines = error_lines(tail_of(log, TAIL).splitlines())
    return StepError(
        package,
        step,
        reason,
        log=str(log),
        detail="\n".join(lines),
        phase=str(phase) if phase else None,
    )
