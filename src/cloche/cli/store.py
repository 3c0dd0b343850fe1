"""`cloche store`: disk usage, verification, garbage collection and recovery."""

from __future__ import annotations

import dataclasses
import json
import os
import pwd
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from cloche import store as stores
from cloche.cli.options import Options, check_store, opened_store, project_or_none, say, store_path
from cloche.cli.usage import Group
from cloche.display.text import count, size
from cloche.errors import ClocheError, Exit
from cloche.layers.layer import possible_ids
from cloche.sandbox import userns
from cloche.store.names import FRESHROOTS, TRIALS


@click.group(
    cls=Group,
    epilog="""\b
Examples:
  cloche store usage
  cloche store gc --dry-run
  cloche store verify --repair
  cloche store recover --dry-run
  sudo cloche --store DIR store adopt
""",
)
def store() -> None:
    """Maintain the store of layers, packages and logs."""


@store.command(
    "usage",
    epilog="""\b
Examples:
  cloche store usage
  cloche store usage --json
""",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def usage_command(options: Options, as_json: bool) -> None:
    """Show disk usage (hard links are counted once)."""
    with opened_store(options) as opened:
        measured = stores.usage(opened)
        if as_json:
            click.echo(json.dumps(dataclasses.asdict(measured), indent=2))
            return
        for part in measured.parts:
            click.echo(f"{part.name:<14} {part.count:>7}  {size(part.bytes):>10}")
        total = sum(part.bytes for part in measured.parts)
        click.echo(f"{'in all':<14} {'':>7}  {size(total):>10}  {opened.path}")


@store.command(
    "verify",
    epilog="""\b
Examples:
  cloche store verify
  cloche store verify --repair
""",
)
@click.option(
    "--repair", is_flag=True, help="Drop damaged objects; they are made again when needed."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def verify_command(options: Options, repair: bool, as_json: bool) -> None:
    """Read every layer and file and compare it with its digest."""
    with opened_store(options) as opened:
        progress = _progress if sys.stderr.isatty() and not as_json else None
        report = stores.verify(opened, repair=repair, progress=progress, waiting=say)
    if as_json:
        click.echo(json.dumps(dataclasses.asdict(report), indent=2, default=str))
    else:
        for problem in report.problems:
            mended = "; dropped" if problem.repaired else ""
            click.echo(
                f"{problem.noun} {problem.id[:16]} ({problem.label}): {problem.trouble}{mended}"
            )
        say(
            f"{count(report.checked, 'tree or file', 'trees and files')} read, "
            f"{count(len(report.problems), 'problem')}"
        )
    if any(not problem.repaired for problem in report.problems):
        if not as_json:
            say(_way_out(report.problems))
        sys.exit(Exit.FAILED)


@store.command(
    "gc",
    epilog="""\b
Examples:
  cloche store gc --dry-run
  cloche store gc --failed
""",
)
@click.option("-n", "--dry-run", is_flag=True, help="Only show what would be removed.")
@click.option("--failed", is_flag=True, help="Also remove the kept roots of failed builds.")
@click.option("--ccache", is_flag=True, help="Also remove all compile caches.")
@click.option("--unknown", is_flag=True, help="Also remove objects that are not in the index.")
@click.option("--recovered", is_flag=True, help="Drop the pins that `recover` made.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def gc_command(
    options: Options,
    dry_run: bool,
    failed: bool,
    ccache: bool,
    unknown: bool,
    recovered: bool,
    as_json: bool,
) -> None:
    """Remove what no seed and no machine needs any more.

    Distfiles stay, and so does everything that the last build of a machine used. What freshroots
    have built stays while they are kept or in use, what `cloche try` has built for a week. Copies
    of repositories, partial downloads and compile caches are removed after four weeks without use.
    If the store has objects that are not in the index, nothing is removed without --unknown.

    Before it removes anything, gc waits for builds that use the store, and names them. Builds only
    wait while it removes.
    """
    with opened_store(options) as opened:
        report = stores.gc(
            opened,
            dry_run=dry_run,
            failed=failed,
            keep_ccaches=0.0 if ccache else stores.KEEP_CCACHES,
            unknown=unknown,
            recovered=recovered,
            waiting=say,
        )
        others = opened.others() if dry_run else ()
    if as_json:
        click.echo(json.dumps(dataclasses.asdict(report), indent=2))
        return
    gone = sum(name.startswith(FRESHROOTS) for name in report.pins)
    if gone:
        say(
            f"{'would drop' if dry_run else 'dropped'} what was built for "
            f"{count(gone, 'freshroot')} that no longer {'exists' if gone == 1 else 'exist'}"
        )
    trials = sum(name.startswith(TRIALS) for name in report.pins)
    if trials:
        how = "would drop" if dry_run else "dropped"
        say(f"{how} what was built for {count(trials, 'trial')} of over a week ago")
    if others:
        used = "; ".join(others)
        say(f"note: the store is in use ({used}): results of running builds are listed as unneeded")
    say(
        f"{'would remove' if dry_run else 'removed'} {count(len(report.trees), 'layer')}, "
        f"{count(len(report.blobs), 'file')}, {count(len(report.logs), 'log')}, "
        f"{count(len(report.unions), 'union')}, {count(len(report.downloads), 'download')}, "
        f"{count(len(report.workspaces), 'workspace')}, {count(len(report.failed), 'kept root')}: "
        f"{size(report.bytes)}"
    )
    if report.unknown and not unknown:
        say(
            f"{count(len(report.unknown), 'object')} not in the index: `cloche store recover` "
            "enters them, `cloche store gc --unknown` removes them"
        )


def _way_out(problems: Sequence[stores.Problem]) -> str:
    if all(problem.trouble == "unlisted" for problem in problems):
        return "run `cloche store recover` to enter what the index does not know"
    return "run `cloche store verify --repair` to drop what is damaged"


@store.command(
    "recover",
    epilog="""\b
Examples:
  cloche store recover --dry-run
  cloche store recover
""",
)
@click.option("-n", "--dry-run", is_flag=True, help="Only show what would be entered.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def recover_command(options: Options, dry_run: bool, as_json: bool) -> None:
    """Rebuild a lost or damaged index from the content of the store.

    Reads every layer and file and enters those whose digest is right. Pins (what seeds and machines
    keep) and finished steps come from the old index, as far as it can be read, and from its last
    copy. What no pin names is kept until `cloche store gc --recovered`. Nothing is removed: the old
    index moves to the store's `backup` directory.
    """
    userns.enter()
    path = store_path(options, project_or_none(options))
    check_store(path)
    progress = _progress if sys.stderr.isatty() and not as_json else None
    report = stores.recover(
        path, identify=possible_ids, dry_run=dry_run, progress=progress, waiting=say
    )
    if as_json:
        click.echo(json.dumps(dataclasses.asdict(report), indent=2))
        return
    for place in report.unproven:
        click.echo(f"{place}: damaged, or not of this store; left as it is")
    for source in report.sources:
        say(f"pins and steps from {source}")
    if not report.sources:
        say("pins and steps are lost: build the machines again, and make or add the seeds again")
    say(
        f"{'would have' if dry_run else 'the index has'} {count(report.trees, 'layer')}, "
        f"{count(report.blobs, 'file')}, {count(report.pins, 'pin')}, "
        f"{count(report.actions, 'step')}; {count(len(report.entered), 'object')} entered"
    )


@store.command(
    "adopt",
    epilog="""\b
Examples:
  sudo cloche --store /home/larry/.local/share/cloche store adopt --dry-run
  sudo cloche --store /home/larry/.local/share/cloche store adopt --user larry
""",
)
@click.option("--user", help="The new owner [default: the owner of the store's directory].")
@click.option("-n", "--dry-run", is_flag=True, help="Only show what would be changed.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def adopt_command(options: Options, user: str | None, dry_run: bool, as_json: bool) -> None:
    """Change the owner of a store and everything in it (root only).

    Use it if root has left files in the store, if the range of subordinate ids of its user has
    changed, or to give it to another user. Layers that are not intact for that user afterwards are
    dropped, and made again when they are needed.
    """
    path = store_path(options, None)
    if os.geteuid() != 0 or not userns.is_real_root():
        raise ClocheError(
            "only root can change the owner of files",
            where=path,
            todo=f"run `sudo cloche --store {path} store adopt`",
            status=Exit.HOST,
        )
    report = stores.adopt(path, owner_of(user, path), dry_run=dry_run, waiting=say)
    if as_json:
        click.echo(json.dumps(dataclasses.asdict(report), indent=2))
        return
    for place in report.unreadable:
        click.echo(f"{place}: cannot be read; left as it is")
    say(
        f"{'would give' if dry_run else 'gave'} {count(report.files, 'file')} of "
        f"{count(len(report.trees), 'layer')} and of the store itself to {report.owner}; "
        f"{count(len(report.dropped), 'layer')} dropped"
    )


def owner_of(name: str | None, path: Path) -> stores.Owner:
    """The id maps of a user, as `userns.enter` would make them. Raises ClocheError."""
    try:
        uid = path.stat().st_uid if name is None else pwd.getpwnam(name).pw_uid
        entry = pwd.getpwuid(uid)
    except (KeyError, OSError) as error:
        what = f"the owner of {path} is unknown" if name is None else f"user {name} does not exist"
        raise ClocheError(what, todo="name one of /etc/passwd with --user") from error
    if uid == 0:
        return stores.Owner(stores.IdMap(0, 1), stores.IdMap(0, 1))
    uids, gids = userns.ranges(entry.pw_name, uid)
    return stores.Owner(stores.IdMap(uid, uids.start), stores.IdMap(entry.pw_gid, gids.start))


def _progress(done: int, total: int, label: str) -> None:
    sys.stderr.write(f"\r{done}/{total} {label[:60]:<60}" + ("\n" if done == total else ""))
    sys.stderr.flush()
