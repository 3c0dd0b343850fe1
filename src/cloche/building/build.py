"""The build step: visible layers, a writable top, Portage's own phases, a GPKG in the store."""

from __future__ import annotations

import contextlib
import os
import re
import stat
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cloche.building import (
    kept_roots,
    views,
)
from cloche.building.context import BuildContext, make_directory
from cloche.building.diagnose import why_it_died
from cloche.building.hints import hint_of
from cloche.building.livepins import WHERE, Sources
from cloche.layers import Layer
from cloche.plan.depgraph import Package
from cloche.records import elog
from cloche.records.errorlines import error_lines
from cloche.records.events import Elog, Note, Phase, Started
from cloche.records.logs import compress_finished, found_log, new_log
from cloche.sandbox.base import Bind, Process
from cloche.store import Outcome
from cloche.tasks import distfiles
from cloche.tasks.errors import (
    GuestError,
    StepError,
    StoppedError,
    no_room,
)
from cloche.tasks.guestcall import Call, call, tail_of

PORTAGE_TMP = "/var/tmp/portage"  # noqa: S108 - inside of a sandbox
TAIL = 20_000  # lines of a failed log that are looked through
SHOWN = 5  # names of an image in one warning
LONGEST_NAME = 300  # characters of one
MOST_EVENTS = 64  # of phases, in one step; Portage has some twenty phases
_FILE_NAME = re.compile(r"[\w+.-]+\.gpkg\.tar", re.ASCII)
_PHASE = re.compile(r"[a-z]{1,20}")


@dataclass(slots=True)
class Watch:
    """Looks after a running step: time limit of a phase, room on the disk."""

    context: BuildContext
    phase: str = "start"
    since: float = field(default_factory=time.monotonic)
    reason: str | None = None
    free: int | None = None
    events: set[tuple[str, str]] = field(default_factory=set)
    leftovers: bool = False  # whether they were told already
    lost_told: bool = False

    def believes(self, message: dict[str, Any]) -> bool:
        """Whether this is an event of a phase that may well be one. An ebuild can write them, too,
        and would move its time limit, or fill memory and display, with all that it can think of.
        """
        event = (message.get("phase"), message.get("state"))
        if message.get("event") != "phase" or event[1] not in ("start", "end"):
            return False
        if not isinstance(event[0], str) or not _PHASE.fullmatch(event[0]):
            return False
        if event in self.events or len(self.events) >= MOST_EVENTS:
            return False
        self.events.add((event[0], event[1]))
        return True

    def left_running(self, message: dict[str, Any]) -> str | None:
        """The commands that a message says were ended; told once, as an ebuild can say it, too."""
        commands = message.get("commands")
        if message.get("event") != "leftovers" or self.leftovers or not isinstance(commands, list):
            return None
        self.leftovers = True
        return ", ".join(str(each)[:100] for each in commands[:5])

    def lost(self, message: dict[str, Any]) -> str | None:
        """The names of an image that a message says no package keeps; told once, likewise."""
        names = message.get("names")
        if message.get("event") != "lost" or self.lost_told or not isinstance(names, list):
            return None
        self.lost_told = True
        return ", ".join(str(each)[:LONGEST_NAME] for each in names[:SHOWN])

    def entered(self, phase: str) -> None:
        """A phase began."""
        self.phase, self.since = phase, time.monotonic()

    def look(self, process: Process) -> None:
        """End the step when it is over a limit."""
        seconds = self.context.policy.phase_seconds
        if time.monotonic() - self.since > seconds:
            self.reason = f"phase {self.phase} was stopped after {seconds:g} s"
            process.kill()
        free = free_bytes(self.context)
        if free < self.context.policy.disk_reserve:
            self.free = free
            process.kill()


def build_environment(context: BuildContext) -> dict[str, str]:
    """What differs between hosts and must not matter: how many jobs."""
    return {"NINJAOPTS": f"-j{context.policy.cores}", "MAKEOPTS": ""}


def package_request(package: Package, live: Sources | None = None) -> dict[str, Any]:
    """The request of the guest's build script."""
    return {
        "cpv": package.cpv,
        "repo": package.repo,
        "use": list(package.use),
        "environment": live.environment if live else {},
    }


def build_binds(
    context: BuildContext,
    package: Package,
    workspace: Path,
    *,
    live: Sources | None = None,
    distdir: Path | None = None,
) -> tuple[Bind, ...]:
    """Make the directories of a build step in its workspace, and the binds that show them.

    A ``distdir`` of the caller's is shown as it is, and writable.
    """
    temporary = make_directory(workspace, "tmp")
    output = make_directory(workspace, "out")
    sources = distdir or make_directory(workspace, "distdir")
    if distdir is None:
        distfiles.show(context.store, package.distfiles, sources)
        for name in live.names if live else ():
            (sources / name).symlink_to(f"/{WHERE}/{name}")
    return (
        *views.for_build(context.inputs, package),
        Bind(temporary, PORTAGE_TMP, writable=True),
        Bind(output, "/run/cloche/out", writable=True),
        Bind(sources, "/run/cloche/distdir", writable=distdir is not None),
        *context.jobserver_bind(),
    )


def build(
    context: BuildContext, package: Package, layers: Sequence[Layer], live: Sources | None = None
) -> Outcome:
    """Build a package over its visible layers; the outcome's "gpkg" is its blob's id.

    ``live`` are the sources of a live ebuild. Raises StepError; then the root it happened in is
    kept for ``cloche shell``.
    """
    layers = (*layers, live.layer) if live else layers
    log = new_log(context.store, package.cpv, "build")
    context.bus(Started(package=package.id, step="build", log=str(log)))
    with context.store.workspace("build") as workspace:
        sandbox = context.sandbox(
            layers,
            upper=make_directory(workspace, "root"),
            binds=build_binds(context, package, workspace, live=live),
        )
        wanted = Call(
            script="build",
            request=package_request(package, live),
            sandbox=sandbox,
            workspace=workspace,
            log=log,
            environment=context.environment() | build_environment(context),
            package=package.id,
        )
        result = run(context, package, wanted)
        if result.get("status") != "ok":
            kept_roots.keep(context, package, "build", workspace, layers)
            failed = explain(context, package, "build", result, log)
            if live and result.get("phase") == "unpack":
                update = f"cloche lock --update {context.inputs.machine}"
                failed.todo = (
                    "it has what its eclass kept in DISTDIR when it was fetched, and no network; "
                    f"after a change of the ebuild, run `{update}`"
                )
            raise failed
        gpkg = taken(workspace / "out", str(result.get("gpkg")), package.id)
        blob = context.store.add_blob(gpkg, package.cpv)
        kept_roots.forget(context, package)
    return Outcome(
        {"gpkg": blob.id},
        put_away(context, package, log),
        data=elog.as_data(elog.messages_of(result)),
    )


def put_away(context: BuildContext, package: Package, log: Path) -> str:
    """Compress the package's logs, its step being done; where this one is, below ``logs``."""
    compress_finished(context.store, package.cpv)
    return str(found_log(log).relative_to(context.store.logs))


def run(context: BuildContext, package: Package, wanted: Call) -> dict[str, Any]:
    """Run the guest's script under watch; what the watch stopped becomes a failed result."""
    watch = Watch(context)

    def on_event(message: dict[str, Any]) -> None:
        if left := watch.left_running(message):
            text = f"{package.cpv}: phase {watch.phase} left processes running, now ended: {left}"
            context.bus(Note(text=text))
        if lost := watch.lost(message):
            text = f"{package.cpv}: Portage's merge does not keep {lost}"
            context.bus(Note(text=text, level="warning"))
        if not watch.believes(message):
            return
        if message["state"] == "start":
            watch.entered(message["phase"])
        context.bus(Phase(package=package.id, phase=message["phase"], state=message["state"]))

    try:
        result, ended = call(context.engine, context.running, wanted, on_event, watch.look)
    except GuestError as error:
        result, ended = {"status": "failed", "phase": watch.phase, "text": error.what}, None
    if messages := elog.messages_of(result):
        context.bus(Elog(package=package.id, step=wanted.script, messages=messages))
    if context.running.stopped:
        raise StoppedError(package.id, wanted.script)
    if watch.free is not None:
        raise disk_full(context, package.id, wanted.script, watch.free)
    result.setdefault("phase", watch.phase)
    if watch.reason:
        return {"status": "failed", "phase": watch.phase, "text": watch.reason}
    if ended is not None and ended.status != 0 and result.get("status") == "ok":
        return {"status": "failed", "phase": watch.phase, "text": f"exit status {ended.status}"}
    return result


def disk_full(context: BuildContext, name: str, step: str, free: int | None = None) -> StepError:
    """The error that says how much room there is, or was when it was noticed."""
    free = free_bytes(context) if free is None else free
    return no_room(name, step, str(context.store.path), free, context.policy.disk_reserve)


def free_bytes(context: BuildContext) -> int:
    """Room on the store's file system."""
    room = os.statvfs(context.store.path)
    return room.f_bavail * room.f_frsize


def taken(directory: Path, name: str, package: str) -> Path:
    """The guest's file, if it is one: what comes out of a sandbox is untrusted."""
    path = directory / name
    with contextlib.suppress(OSError):
        if _FILE_NAME.fullmatch(name) and stat.S_ISREG(path.lstat().st_mode):
            return path
    raise StepError(package, "build", f"the guest left no package named {name!r}")


def explain(
    context: BuildContext, package: Package, step: str, result: dict[str, Any], log: Path
) -> StepError:
    """Turn a failed result and its log into an error that names the cause where it is known."""
    phase, text = result.get("phase"), str(result.get("text") or "")
    reason = why_it_died(text) or f"phase {phase}"
    if phase and not reason.startswith(f"phase {phase}"):
        reason = f"phase {phase}: {reason}"
    whole = tail_of(log, TAIL).splitlines()
    lines = error_lines(whole)
    strict = " --strict" if context.inputs.strict else ""
    return StepError(
        package.id,
        step,
        reason,
        log=str(log),
        todo=hint_of(context, "\n".join((*lines, *whole[-400:]))),
        detail="\n".join(lines),
        enter=f"cloche shell {context.inputs.machine}{strict} --package ={package.cpv}",
    )


def explain_again(context: BuildContext, error: StepError) -> None:
    """Look once more for what was missing: its package may have become a layer meanwhile."""
    if error.log and error.step == "build":
        whole = tail_of(Path(error.log), TAIL).splitlines()
        tail = "\n".join((*error_lines(whole), *whole[-400:]))
        error.todo = hint_of(context, tail) or error.todo
