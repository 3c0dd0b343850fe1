"""Runs catalyst-auto's configuration: all its specs as one plan, with its hooks, and a report.

The files of a run are in STOREDIR/cloche/releng/NAME/TIMESTAMP: the specs with their tokens filled
in, their locks, the logs of hooks, and the journal, from which an interrupted run is resumed.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from cloche.catalyst.conf import Conf, read_conf
from cloche.catalyst.paths import store_path
from cloche.config.errors import ConfigError, Origin
from cloche.errors import ClocheError, Exit
from cloche.fetching.signing import Signer
from cloche.releng.auto_conf import AutoConf, Wanted, read_auto_conf
from cloche.releng.auto_hooks import Hooks
from cloche.releng.auto_queue import Queue
from cloche.releng.auto_specs import Item, check_sources, chosen, copied, items_of
from cloche.releng.auto_tree import find_tree
from cloche.releng.calls import Place, opening_in
from cloche.releng.inputs import source_of
from cloche.releng.journal import (
    Before,
    Entry,
    Journal,
    RunEnded,
    RunStarted,
    SpecEnded,
    ended_specs,
    read_journal,
)
from cloche.releng.preview import Foreseen, preview_spec
from cloche.releng.report import Report, as_json, report_of
from cloche.releng.repository import STABLE
from cloche.releng.settings import Settings
from cloche.releng.side_by_side import SideBySide
from cloche.releng.snapshot import Snapshot, make_snapshot
from cloche.session.opened import nobody
from cloche.store.locks import held_file
from cloche.tasks.slots import shared_slots

JOURNAL, REPORT = "run.jsonl", "report.json"
Listen = Callable[[Entry], None]


@dataclass(frozen=True, slots=True)
class Run:
    """A run before it begins. ``room`` is its directory, ``snapshot`` one that has to be made."""

    settings: Settings
    auto: AutoConf
    confs: tuple[Path, ...]
    conf: Conf
    tokens: Mapping[str, str]
    room: Path
    snapshot: Snapshot | None = None

    @property
    def journal(self) -> Path:
        """The file of its journal."""
        return self.room / JOURNAL

    def entries(self) -> Iterator[Entry]:
        """The entries of its journal up to now."""
        return read_journal(self.journal) if self.journal.exists() else iter(())

    def wanted(self) -> tuple[Wanted, ...]:
        """The specs that are to be built. Raises ClocheError."""
        return chosen(self.auto, self.settings.only)

    def copies(self) -> tuple[Item, ...]:
        """Write copies of the specs, and check them. Raises `ConfigError`."""
        wanted = self.wanted()
        copied(self.auto, wanted, self.room, self.tokens)
        return items_of(self.conf, self.auto, wanted, self.room, self.settings.here)

    def environment(self) -> Mapping[str, str]:
        """The variables that catalyst-auto has for hooks."""
        return {
            **self.tokens,
            "TMPDIR": str(self.room),
            "CATALYST_CONFIG": str(self.confs[0]) if self.confs else "",
            "BUILD_SRCDIR_BASE": store_path(self.conf),
            "nonetwork": "0" if self.settings.network else "1",
            "verbose": "0",
        }


def open_run(settings: Settings, *, fetch: bool = False) -> Run:
    """Read the configuration, and find the run for its tree and date. Raises ClocheError.

    With ``fetch``, the newest state of the tree `stable` is fetched; else it is the last fetched.
    """
    return _open(settings, *_read(settings), fetch)


def _read(settings: Settings) -> tuple[AutoConf, tuple[Path, ...], Conf]:
    """The configuration, and the files of catalyst.conf with their content."""
    auto = read_auto_conf(settings.files, {})
    confs = settings.confs or _conf_of(auto)
    return auto, confs, read_conf(confs, settings.here)


def _open(
    settings: Settings, auto: AutoConf, confs: tuple[Path, ...], conf: Conf, fetch: bool
) -> Run:
    tokens = dict(settings.tokens)
    tokens.setdefault("REPO_DIR", str(auto.repo_dir))
    treeish = settings.treeish or tokens.get("TREEISH") or STABLE
    tree = find_tree(conf, treeish, conf.origins.get("storedir", Origin(settings.files[0])), fetch)
    tokens["TREEISH"] = tree.treeish
    tokens.setdefault("TIMESTAMP", tree.stamp)
    stamp = tokens["TIMESTAMP"]
    if "/" in stamp or not stamp.strip(".") or not stamp.isprintable() or " " in stamp:
        raise ClocheError(
            f"“{tokens['TIMESTAMP']}” is not a time stamp",
            todo="write one such as 20260426T191549Z",
        )
    room = directory_of(conf, auto) / tokens["TIMESTAMP"]
    run = Run(settings, auto, confs, conf, tokens, room, tree.to_make)
    begun = next((e.event for e in run.entries() if isinstance(e.event, RunStarted)), None)
    today = datetime.now(UTC).strftime("%Y%m%d")
    tokens.setdefault("DATESTAMP", begun.datestamp if begun else today)
    return run


def last_run(settings: Settings) -> Run:
    """The run of the tree or date in the settings, else the last one. Raises ClocheError."""
    if settings.treeish or settings.tokens.keys() & {"TREEISH", "TIMESTAMP"}:
        return open_run(settings)
    auto, confs, conf = _read(settings)
    begun = directory_of(conf, auto).glob(f"*/{JOURNAL}")
    for file in sorted(begun, key=lambda each: each.stat().st_mtime_ns, reverse=True):
        for entry in read_journal(file):
            if isinstance(entry.event, RunStarted):
                tokens = {"TIMESTAMP": entry.event.timestamp, "TREEISH": entry.event.treeish}
                found = replace(settings, tokens={**settings.tokens, **tokens})
                return _open(found, auto, confs, conf, fetch=False)
    where, todo = directory_of(conf, auto), "start one with `cloche releng run`"
    raise ClocheError("no such run", where=where, todo=todo)


def directory_of(conf: Conf, auto: AutoConf) -> Path:
    """The directory with the runs of a configuration."""
    return Path(store_path(conf, "cloche/releng", auto.name))


def _conf_of(auto: AutoConf) -> tuple[Path, ...]:
    file = Path(auto.values["CATALYST_CONFIG"])
    if not file.is_file():
        what = f"no such file: {file}"
        raise ConfigError(auto.origin("CATALYST_CONFIG"), what, "name catalyst.conf with -c")
    return (file,)


@contextmanager
def alone(run: Run) -> Iterator[None]:
    """Keep other runs of the configuration from starting during a block. Raises ClocheError."""
    directory = run.room.parent
    directory.mkdir(parents=True, exist_ok=True)
    with held_file(directory / "lock") as free:
        if not free:
            what, todo = "another run of this configuration is in progress", "wait for it to finish"
            raise ClocheError(what, where=run.auto.name, todo=todo, status=Exit.HOST)
        yield


def done_before(items: Sequence[Item], before: Mapping[str, Before]) -> Mapping[str, bool]:
    """The specs that need not be built again, each with whether its hook succeeded.

    Such a spec was built from the same text and files, so was the spec that makes its source, and
    the sizes of its outputs are the same.
    """
    found: dict[str, bool] = {}
    for item in items:
        known = before.get(item.name)
        source = item.needs is None or item.needs in found
        if known is not None and source and _is_done(item, known.ended):
            found[item.name] = known.hooked
    return found


def _is_done(item: Item, ended: SpecEnded) -> bool:
    return (
        ended.how == "built"
        and ended.digest == item.digest
        and bool(ended.outputs)
        and all(_size(Path(path)) == size for path, size in ended.outputs.items())
    )


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.is_file() else None


def carry_out(run: Run, place: Place, listen: Listen, signer: Signer | None = None) -> Report:
    """Build the remaining specs of a run, and call its hooks.

    ``place`` is where specs are built; its slots are made here. Each event is written to the
    journal and passed to ``listen``, from several threads. With ``settings.also``, catalyst builds
    the specs afterwards, too. Raises ClocheError.
    """
    began = time.monotonic()
    with alone(run), ExitStack() as stack:
        logs = run.room / "log"
        logs.mkdir(parents=True, exist_ok=True)
        logs.chmod(0o700)  # hooks may print what others must not read, as below mktemp's directory
        items = run.copies()
        if run.snapshot is not None:
            make_snapshot(run.snapshot, run.conf, opening_in(place, nobody))
        before = ended_specs(run.entries())
        journal = Journal(run.journal)
        stack.callback(journal.close)

        def tell(entry: Entry) -> None:
            journal(entry)
            listen(entry)

        tell(Entry("", _started(run, items)))
        hooks = Hooks(
            run.auto,
            run.environment(),
            run.room / "specs",
            logs,
            lambda event: tell(Entry(event.words[2] if len(event.words) > 2 else "", event)),
        )
        stack.callback(hooks.stop)
        if not hooks("pre_build"):
            failed = _hook_failed(logs)
            _end(run, tell, Exit.FAILED, began)
            raise failed
        items = check_sources(items, run.conf)
        side_by_side = _side_by_side(run, logs)
        slots = run.room / "slots"
        slots.mkdir(exist_ok=True)
        shared = replace(place, slots=slots)
        queue = Queue(shared, run.confs, run.settings, tell, hooks, signer)
        with shared_slots(slots, run.settings.slots, len(os.sched_getaffinity(0))):
            queue.run(items, done_before(items, before))
        if side_by_side is not None:
            _compare(run, side_by_side, items, tell)
        hooks("update_symlinks")
        hooks("post_build", "", "")
        report = report_of(run.entries())
        return _end(run, tell, Exit.FAILED if report.fatal or report.hooks else Exit.DONE, began)


def _compare(run: Run, side_by_side: SideBySide, items: Sequence[Item], tell: Listen) -> None:
    """Build with catalyst, too, what was built, and compare, unless that was done before."""
    ended = ended_specs(run.entries())
    for item in items:
        before = ended.get(item.name)
        if before is not None and before.ended.how == "built" and not before.compared:
            tell(Entry(item.name, side_by_side(item)))


def _end(run: Run, tell: Listen, status: int, began: float) -> Report:
    """Write the end of a run, and its report."""
    tell(Entry("", RunEnded(status=status, seconds=time.monotonic() - began)))
    report = report_of(run.entries())
    (run.room / REPORT).write_text(as_json(report), encoding="utf-8")
    return report


@dataclass(frozen=True, slots=True)
class ForeseenSpec:
    """A spec in a run's order: which makes its source, whether it is built, why it is refused."""

    name: str
    set: str
    optional: bool
    needs: str | None
    done: bool
    refused: str | None


def foreseen(run: Run) -> tuple[ForeseenSpec, ...]:
    """What a run would do, in order; no hook is called. Raises ClocheError."""
    with tempfile.TemporaryDirectory(prefix="cloche-releng-") as room:
        copied(run.auto, run.wanted(), Path(room), run.tokens, run.room / "kconfig")
        items = items_of(run.conf, run.auto, run.wanted(), Path(room), run.settings.here)
        items = check_sources(items, run.conf)
        done = done_before(items, ended_specs(run.entries()))
    return tuple(
        ForeseenSpec(
            item.name,
            item.wanted.set,
            item.wanted.optional,
            item.needs,
            item.name in done,
            str(item.refused) if item.refused else None,
        )
        for item in items
    )


def foreseen_packages(run: Run, place: Place) -> Iterator[tuple[str, Foreseen | ClocheError]]:
    """What would be done for the packages of each spec whose source exists, machine by machine.

    This runs Portage's resolver; at what it refuses the spec ends with the error. Raises
    ClocheError.
    """
    with alone(run):
        items = run.copies()
        opening = opening_in(place, nobody)
        done = done_before(items, ended_specs(run.entries()))
        for item in items:
            if item.refused is not None or item.name in done:
                continue
            try:
                source_of(item.spec, run.conf)
            except ConfigError:  # not built yet, or `foreseen` reports it
                continue
            how = run.settings
            try:
                for each in preview_spec(
                    item.spec, run.conf, opening, how.choices, update=how.update
                ):
                    yield item.name, each
            except ClocheError as error:
                yield item.name, error


def _side_by_side(run: Run, logs: Path) -> SideBySide | None:
    """Catalyst for these specs, if the caller wants it. Raises ClocheError."""
    if run.settings.also is None:
        return None
    options = run.auto.values.get("CATALYST_OPTIONS", "")
    place = run.room.parent / "catalyst"
    here = run.settings.here
    return SideBySide(run.settings.also, run.confs, run.conf, place, options, logs, here)


def _started(run: Run, items: Sequence[Item]) -> RunStarted:
    return RunStarted(
        name=run.auto.name,
        timestamp=run.tokens["TIMESTAMP"],
        datestamp=run.tokens["DATESTAMP"],
        treeish=run.tokens["TREEISH"],
        specs=tuple(item.name for item in items),
        sets={item.name: item.wanted.set for item in items},
        optional=tuple(item.name for item in items if item.wanted.optional),
    )


def _hook_failed(logs: Path) -> ClocheError:
    lines = (logs / "pre_build.log").read_text(errors="replace").splitlines()[-15:]
    what = "pre_build failed"
    todo = f"see {logs}/pre_build.log"
    return ClocheError(what, todo=todo, detail="\n".join(lines), status=Exit.FAILED)
