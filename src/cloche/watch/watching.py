"""Watches one emerge until its end, and sends its events to a sink."""

from __future__ import annotations

import os
import shlex
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from cloche.errors import ClocheError
from cloche.plan.order import make_order, reduced
from cloche.records.errorlines import error_lines
from cloche.records.events import Done, Event, Note, Planned, Sink, Stage
from cloche.tasks.guestcall import tail_of
from cloche.watch import emergelog
from cloche.watch.follow import Doing, Follower, Look
from cloche.watch.observed import Observer, Snapshot
from cloche.watch.processes import Emerge, ebuilds_of, environment_of
from cloche.watch.resolution import Resolved, resolve_again

LOG_DIR = "/var/log"
EVERY = 0.5  # seconds between two looks
LOG_BYTES = 32 << 20  # of emerge.log that are read for earlier times
WHY_LINES = 400  # of a failed log's end that are looked at

Resolver = Callable[[Emerge, set[str]], Resolved]


@dataclass(frozen=True, slots=True)
class Sources:
    """The sources of looks: observability, emerge.log, processes."""

    emerge: Emerge
    place: Path
    held: int
    log: Path
    observer: Observer

    @classmethod
    def of(cls, emerge: Emerge) -> Sources:
        """The sources of one emerge."""
        directory = environment_of(emerge).get("EMERGE_LOG_DIR", LOG_DIR)
        # Kept open: the last lines are written when the process, and so /proc/PID, is about to go.
        held = os.open(emerge.root, os.O_PATH | os.O_DIRECTORY)
        root = Path(f"/proc/self/fd/{held}")
        log = root / directory.lstrip("/") / "emerge.log"
        return cls(emerge, emerge.place, held, log, Observer(root, emerge.inner))

    def logging_to(self, directory: str) -> Sources:
        """The same sources with emerge.log in another directory."""
        root = Path(f"/proc/self/fd/{self.held}")
        return replace(self, log=root / directory.lstrip("/") / "emerge.log")

    def close(self) -> None:
        """Close all sources."""
        self.observer.close()
        os.close(self.held)

    def look(self) -> tuple[Look, emergelog.Logged | None, Snapshot | None]:
        """Look at its present state; wait up to `EVERY` seconds for news."""
        alive = self.emerge.alive
        before = time.monotonic()
        snapshot = self.observer.look(EVERY) if alive else None
        time.sleep(max(0.0, EVERY - (time.monotonic() - before)) if alive else 0.0)
        ebuilds = ebuilds_of(self.emerge)
        logged = self.logged()
        doing = seen(snapshot, logged, {e.cpv: (e.phase, e.log) for e in ebuilds.values()})
        look = Look(
            time=time.time(),
            doing=doing,
            completed=logged.completed if logged is not None else None,
            failed=snapshot.jobs.failed if snapshot is not None else None,
            gone=not alive,
        )
        return look, logged, snapshot

    def logged(self) -> emergelog.Logged | None:
        """This run in emerge.log; None if it is not readable, or does not have it."""
        lines = list(self.lines())
        if not lines:
            return None
        return emergelog.read_run(lines, self.emerge.began)

    def why(self, log: str) -> tuple[str, ...]:
        """The relevant lines of a failed package's log; emerge may have ended already."""
        path = Path(log)
        if path.is_relative_to(self.place):
            path = Path(f"/proc/self/fd/{self.held}") / path.relative_to(self.place)
        try:
            return error_lines(tail_of(path, WHY_LINES).splitlines())
        except OSError:
            return ()

    def lines(self) -> Iterator[str]:
        """The end of emerge.log."""
        try:
            with self.log.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - LOG_BYTES))
                yield from file.read(LOG_BYTES).decode(errors="replace").splitlines()
        except OSError:
            return


def seen(
    snapshot: Snapshot | None,
    logged: emergelog.Logged | None,
    ebuilds: dict[str, tuple[str, str | None]],
) -> dict[str, Doing]:
    """Combine the sources' knowledge of the packages in progress.

    Emerge's own state is preferred, then its log; phases and logs of builds come from processes.
    """
    doing: dict[str, Doing] = {}
    for cpv, step in (logged.running if logged is not None else {}).items():
        phase, log = ebuilds.get(cpv, (None, None))
        doing[cpv] = Doing(step, phase, log)
    for cpv, task in (snapshot.by_cpv() if snapshot is not None else {}).items():
        if logged is not None and cpv in logged.completed:
            continue  # the stream may lag behind the log
        phase, log = ebuilds.get(cpv, (None, None))
        told = None if task.phase == "merge-wait" else task.phase
        waits = task.kind == "merge" and not task.merge_wait
        doing[cpv] = Doing("merge" if waits else "build", told or phase, log, task.start_time)
    if snapshot is None and logged is None:
        for cpv, (phase, log) in ebuilds.items():
            doing[cpv] = Doing("build", phase, log)
    return doing


def unreadable_emerge(pid: int, reason: str) -> ClocheError:
    """An emerge cannot be inspected: it is another user's, or gone."""
    return ClocheError(
        f"cannot inspect the emerge with pid {pid}: {reason}",
        todo="run this as root, or as the user that started it",
    )


def watch(emerge: Emerge, sink: Sink, resolver: Resolver = resolve_again) -> None:
    """Send the events of an emerge to ``sink`` until it ends. Raises ClocheError."""
    try:
        sources = Sources.of(emerge)
    except OSError as error:
        raise unreadable_emerge(emerge.pid, str(error)) from error
    try:
        sources, plan, looks = _plan(sources, sink, resolver)
        sink(plan)
        follower = Follower(began=emerge.began, plan=plan)
        for look in looks:
            _send(follower.look(look), sources, sink)
        gone = False
        while not gone:
            look, _, _ = sources.look()
            _send(follower.look(look), sources, sink)
            gone = look.gone
    finally:
        sources.close()


def _send(events: Iterator[Event], sources: Sources, sink: Sink) -> None:
    for event in events:
        if isinstance(event, Done) and event.log:
            event = msgspec.structs.replace(event, lines=sources.why(event.log))
        sink(event)


def _plan(sources: Sources, sink: Sink, resolver: Resolver) -> tuple[Sources, Planned, list[Look]]:
    """Resolve while looking; return the plan, and the looks until then."""
    began = time.monotonic()
    sink(Stage(name="resolve", state="start"))
    logged = sources.logged()
    # A running package may be installed before it is resolved again: it belongs to the list, too.
    done = {*logged.completed, *logged.running} if logged is not None else set()
    answer: list[Resolved] = []
    worker = threading.Thread(
        target=lambda: answer.append(resolver(sources.emerge, done)), daemon=True
    )
    worker.start()
    looks: list[Look] = []
    snapshot: Snapshot | None = None
    while worker.is_alive() and not (looks and looks[-1].gone):
        look, logged, snapshot = sources.look()
        if not look.gone:
            looks.append(look)
        else:
            break
    resolved = answer[0] if answer else Resolved(problem="it ended before it was resolved again")
    sink(Stage(name="resolve", state="end", seconds=time.monotonic() - began))
    if resolved.problem:
        sink(Note(level="warning", text=f"dependencies are unknown: {resolved.problem}"))
    if resolved.log_dir:
        sources = sources.logging_to(resolved.log_dir)
        logged = sources.logged()
    return sources, _planned(sources, resolved, logged, snapshot), looks


def _planned(
    sources: Sources,
    resolved: Resolved,
    logged: emergelog.Logged | None,
    snapshot: Snapshot | None,
) -> Planned:
    """The plan: what is known to be done already, then what was resolved."""
    known = {name.split("::")[0] for name in resolved.packages}
    done = [cpv for cpv in (logged.completed if logged is not None else {}) if cpv not in known]
    packages = (*done, *resolved.packages)
    earlier = emergelog.earlier_seconds(sources.lines(), sources.emerge.began)
    jobs = snapshot.jobs.max if snapshot is not None else 1
    return Planned(
        machine=shlex.join(("emerge", *sources.emerge.argv)),
        packages=packages,
        edges=reduced(make_order(packages, resolved.needs)),
        expected=emergelog.expected(packages, earlier),
        jobs=jobs if isinstance(jobs, int) and not isinstance(jobs, bool) else os.cpu_count() or 1,
    )
