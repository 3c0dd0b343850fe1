"""What the commands of `cloche overlay` share: opening, showing what changes, taking it."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

import click

from cloche.broker import open_engine
from cloche.cli.options import Options, engine_name, opened_store, project_or_none, say
from cloche.cli.progress import ChangingLine, Transferred
from cloche.cli.terminable import terminable
from cloche.config.project import Project, load_project
from cloche.display.text import one_line, visible
from cloche.errors import ClocheError, Exit
from cloche.overlays import places, placing, portage_root, work
from cloche.overlays.errors import OverlayError
from cloche.overlays.places import Place, check_writable
from cloche.overlays.wishes import Wish
from cloche.overlays.work import Plan, Prepared, Workshop
from cloche.session.opening import try_host
from cloche.store import Store
from cloche.trees.methods import SyncContext

LINES = 200  # of a diff that are shown


def take(
    shop: Workshop,
    lines: Sequence[Wish],
    names: Collection[str],
    texts: Mapping[Path, str],
    *,
    newest: bool = False,
    ask: bool = False,
    dry_run: bool,
) -> None:
    """Prepare overlays, show what changes, ask, and put them into their places."""
    if not dry_run:
        check_writable(shop.place)
    made = work.plan(shop, lines, names, newest=newest)
    if made.nothing:
        raise next(iter(made.failed.values()))
    ours = {**work.records(shop.place), **{each.overlay: each.record for each in made.prepared}}
    for each in made.prepared:
        _show(each, work.still_lacking(each.record, ours.values()), whole=newest)
    for name in made.emptied:
        say(f"{name}: nothing of it is wanted, its repository goes")
    for name, error in made.failed.items():
        say(f"{name}: left as it is: {error}")
    if dry_run or (made.same and not texts):
        pass
    elif ask and not made.same and not _agreed():
        say("left as it is")
    else:
        _put(shop, made, texts)
    if made.failed:
        what = f"left as they are: {', '.join(made.failed)}"
        raise OverlayError(what, todo="see above", status=Exit.FAILED)


def _put(shop: Workshop, made: Plan, texts: Mapping[Path, str]) -> None:
    """Put new states into their places, and tell where."""
    if todo := work.apply(shop, made, texts):
        say(todo)
    for each in made.prepared:
        if not each.same:
            click.echo(shop.place.repository(each.overlay))


def _agreed() -> bool:
    """Ask whether this is to be taken. Raises ClocheError if nobody can answer."""
    if not sys.stdin.isatty():
        todo = "take it with --yes"
        raise ClocheError("nothing is written: nobody can be asked here", todo=todo)
    return click.confirm("Take this?", default=True, err=True)


def _show(prepared: Prepared, lacking: Mapping[str, Sequence[str]], *, whole: bool) -> None:
    """Print what a new state changes; ``whole``: with the diffs."""
    record, name = prepared.record, prepared.overlay
    before = f"{prepared.old.commit[:12]} → " if prepared.old else ""
    if prepared.same:
        say(f"{name}: {record.commit[:12]}, nothing changes")
    else:
        say(f"{name}: {before}{record.commit[:12]}")
    if whole:
        for each in prepared.changes:
            click.echo(one_line(f"{each.how}: {name}/{each.path}"))
            if each.how != "gone":
                for line in each.diff[:LINES]:
                    click.echo(visible(line))
                if len(each.diff) > LINES:
                    click.echo(f"… {len(each.diff) - LINES} more lines")
    for package, why in prepared.new.items():
        say(f"  new: {package}" + (f", needed by {why}" if why else ""))
    for package in prepared.gone:
        say(f"  gone: {package}")
    for edit in prepared.kept:
        say(f"  local edit kept: {edit.path} ({edit.how})")
    for atom, who in lacking.items():
        say(f"  no repository has {atom}, needed by {', '.join(who)}")
    for warning in prepared.warnings:
        say(f"  warning: {warning}")


@contextmanager
def placed(options: Options, root: Path | None) -> Iterator[Place]:
    """The place, for commands that only read. Raises ClocheError."""
    project = None if root is not None else project_or_none(options)
    if project is None:
        yield places.of_system((root or Path("/")).absolute())
        return
    with opened_store(options, project, make=True) as store:
        yield places.of_project(project, store)


@contextmanager
def opened(
    options: Options, root: Path | None, listed: str | None, *, making: bool
) -> Iterator[Workshop]:
    """All that is needed to take packages, for this process alone if it is ``making`` something.

    Raises ClocheError.
    """
    project = None if root is not None else project_or_none(options)
    host = (root or Path("/")).absolute()
    with (
        terminable(),
        opened_store(options, project, make=True) as store,
        open_engine(engine_name(options)) as engine,
    ):
        _place_of(project, store, host)  # report errors in it before anything is created
        found = portage_root.find(store, project, host)
        try_host(store, engine)
        top = places.top(host, project.root if project else None)
        with placing.alone(top) if making else nullcontext():
            place = _place_of(project, store, host)  # again: another process may have changed it
            yield Workshop(store, engine, found, place, _context(store), listed)


def _place_of(project: Project | None, store: Store, host: Path) -> Place:
    """The place as it is now."""
    if project is None:
        return places.of_system(host)
    return places.of_project(load_project(project.root), store)


def _context(store: Store) -> SyncContext:
    line = ChangingLine()

    def report(text: str) -> None:
        line.end()
        say(f"  {text}")

    return SyncContext(
        cache=store.downloads, report=report, status=line, progress=Transferred().progress
    )
