"""`cloche store`: what lies there, whether it is whole, and how to make room."""

from __future__ import annotations

import dataclasses
import json
import sys

import click

from cloche import store as stores
from cloche.cli.workplace import Options, opened_store, say
from cloche.display.text import count, size
from cloche.errors import Exit


@click.group(
    epilog="""\b
Examples:
  cloche store usage
  cloche store gc --dry-run
  cloche store verify --repair
"""
)
def store() -> None:
    """Look after the store of layers, packages and logs."""


@store.command(
    "usage",
    epilog="""\b
Examples:
  cloche store usage
  cloche store usage --json
""",
)
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_obj
def usage_command(options: Options, as_json: bool) -> None:
    """Show what takes how much room (hard links counted once)."""
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
@click.option("--repair", is_flag=True, help="Drop what is damaged; it is made again when needed.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_obj
def verify_command(options: Options, repair: bool, as_json: bool) -> None:
    """Read every layer and file again and compare it with its digest."""
    with opened_store(options, exclusive=repair) as opened:
        progress = _progress if sys.stderr.isatty() and not as_json else None
        report = stores.verify(opened, repair=repair, progress=progress)
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
            say("run `cloche store verify --repair` to drop what is damaged")
        sys.exit(Exit.FAILED)


@store.command(
    "gc",
    epilog="""\b
Examples:
  cloche store gc --dry-run
  cloche store gc --failed
""",
)
@click.option("-n", "--dry-run", is_flag=True, help="Only say what would be removed.")
@click.option("--failed", is_flag=True, help="Remove the kept roots of failed builds, too.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_obj
def gc_command(options: Options, dry_run: bool, failed: bool, as_json: bool) -> None:
    """Remove what no seed and no machine needs any more.

    What a machine's last build used stays, and so do distfiles; copies of repositories and what is
    left of downloads go when they were not used for four weeks.
    """
    with opened_store(options, exclusive=not dry_run) as opened:
        report = stores.gc(opened, dry_run=dry_run, failed=failed)
    if as_json:
        click.echo(json.dumps(dataclasses.asdict(report), indent=2))
        return
    say(
        f"{'would remove' if dry_run else 'removed'} {count(len(report.trees), 'layer')}, "
        f"{count(len(report.blobs), 'file')}, {count(len(report.logs), 'log')}, "
        f"{count(len(report.unions), 'union')}, {count(len(report.downloads), 'download')}, "
        f"{count(len(report.workspaces), 'workspace')}: {size(report.bytes)}"
    )


def _progress(done: int, total: int, label: str) -> None:
    sys.stderr.write(f"\r{done}/{total} {label[:60]:<60}" + ("\n" if done == total else ""))
    sys.stderr.flush()
