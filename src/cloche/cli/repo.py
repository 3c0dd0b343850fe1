"""`cloche repo`: the ebuild repositories that a project declares."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from cloche.binhosts import index as binhosts
from cloche.binhosts.index import MissingIndexError
from cloche.cli.complete import complete_repo
from cloche.cli.options import Options, opened_store, say
from cloche.cli.progress import ChangingLine, Transferred
from cloche.cli.seed import FILE
from cloche.cli.terminable import terminable
from cloche.cli.usage import Group
from cloche.config import lock as locks
from cloche.config.binrepos import BinrepoSpec
from cloche.config.project import Project, RepoSpec, load_project
from cloche.display.text import NAMED, seconds, size
from cloche.fetching.download import shown
from cloche.session import inputs
from cloche.session.inputs import Progressing, SyncOptions
from cloche.store import Store
from cloche.trees.errors import unknown_repository
from cloche.trees.stored import Taken, find_tree, stored_trees

MIRROR = "Gentoo mirror for snapshots [the declared one, $CLOCHE_GENTOO_MIRROR, Gentoo's default]."
KEYRING = "File of OpenPGP keys to verify it with [the declared one, Gentoo's]."

Function = Callable[..., Any]


def source_options(function: Function) -> Function:
    """Options that say where repositories come from, and by which keys they are verified."""
    mirror = click.option("--mirror", help=MIRROR)
    keyring = click.option("--keyring", type=FILE, help=KEYRING)
    return mirror(keyring(function))


@click.group(
    cls=Group,
    epilog="""\b
Examples:
  cloche repo sync
  cloche repo sync gentoo --locked
  cloche repo list --json
  cloche repo rm gentoo --dry-run
""",
)
def repo() -> None:
    """Sync, list and drop ebuild repositories."""


@repo.command(
    "sync",
    epilog="""\b
Examples:
  cloche repo sync
  cloche repo sync gentoo guru
  cloche repo sync gentoo --locked
  cloche repo sync gentoo --mirror file:///srv/mirror --keyring keys.asc
""",
)
@click.argument("names", nargs=-1, shell_complete=complete_repo)
@click.option("--locked", is_flag=True, help="Fetch what cloche.lock pins, nothing newer.")
@source_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def sync_command(
    options: Options,
    names: tuple[str, ...],
    locked: bool,
    mirror: str | None,
    keyring: Path | None,
    as_json: bool,
) -> None:
    """Sync the repositories and binary package hosts NAMES to their newest state.

    Without NAMES, sync all hosts and all repositories that have a sync_type. The new state is
    verified, stored, and pinned in cloche.lock: builds use it until the next sync.
    """
    project = load_project(options.directory)
    if not locked:
        locks.check(project.lock)
    rows = {}
    if not project.repos:
        say("no repositories; see [repos.NAME] in docs/project-files.md")
    for host in project.binrepos.values():
        if host.name in names or not names:
            index = sync_index(options, project, host, update=not locked)
            rows[host.name] = {"type": "binhost", "uri": shown(host.uri), "index": index}
    repos = tuple(name for name in names if name not in project.binrepos)
    for spec in _named(project, repos) if repos or not names else ():
        if spec.sync is None:
            say(f"{spec.name}: a directory, nothing to sync")
            continue
        with opened_store(options, project, make=True) as store:
            before = _found(store, project, spec)
        taken = sync_repository(
            options, project, spec, update=not locked, mirror=mirror, keyring=keyring
        )
        rows[spec.name] = _data(project, spec, taken)
        if before is not None and before.pin.tree != taken.pin.tree:
            _tell_touched(options, project, spec.name, (before.path, taken.path))
    if as_json:
        click.echo(json.dumps(rows, indent=2))


def _tell_touched(options: Options, project: Project, repo: str, states: tuple[Path, Path]) -> None:
    """Say in a line for which machines a new state of a repository has other ebuilds."""
    from cloche.output.synced import touched

    with opened_store(options, project) as store:
        found = touched(store, project.place, project.machines, repo, states)
    changed = [
        f"{machine}: {', '.join(names[:NAMED])}"
        + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
        for machine, names in found.items()
        if names
    ]
    if changed:
        say(f"{repo}: other ebuilds for {'; '.join(changed)}; see `cloche plan MACHINE`")
    elif found:
        say(f"{repo}: no other ebuilds for the packages of {', '.join(found)}")


def sync_index(
    options: Options, project: Project, spec: BinrepoSpec, *, update: bool = False
) -> str:
    """Sync the index of a binary package host and report it; its id."""
    with terminable(), opened_store(options, project, make=True) as store:
        how = SyncOptions(
            update=update, progress=Progressing(_report, bytes=Transferred().progress)
        )
        host = inputs.sync_index(store, project, spec, how)
        length = store.blob(host.index).size
    signed = f"signed by a key of {host.keyring}" if host.keyring else "unsigned"
    say(f"{spec.name}: index {host.index[:12]} ({size(length)}), packages {signed}")
    return host.index


def sync_repository(
    options: Options,
    project: Project,
    spec: RepoSpec,
    *,
    update: bool = False,
    mirror: str | None = None,
    keyring: Path | None = None,
) -> Taken:
    """Sync a repository to its locked or newest state and report it."""
    began = time.monotonic()
    line = ChangingLine()

    def report(text: str) -> None:
        line.end()
        say(f"  {text}")

    with terminable(), opened_store(options, project, make=True) as store:
        progress = Progressing(report, line, Transferred().progress)
        how = SyncOptions(mirror, keyring, update=update, progress=progress)
        synced = inputs.sync_repository(store, project, spec, how)
        line.end()
        taken, tree = synced.taken, store.tree(synced.taken.pin.tree)
    when = f"in {seconds(time.monotonic() - began)}" if synced.new else "already in the store"
    say(f"{spec.name}: {_state(taken)}, {tree.files} files, {when}")
    return taken


@repo.command(
    "list",
    epilog="""\b
Examples:
  cloche repo list
  cloche repo list --json | jq -r '.[].path'
""",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def list_command(options: Options, as_json: bool) -> None:
    """List the project's repositories, their sources, and the state that builds use."""
    project = load_project(options.directory)
    with opened_store(options, project) as store:
        rows = [_data(project, spec, _found(store, project, spec)) for spec in _named(project, ())]
        hosts = [_host(store, project, spec) for spec in project.binrepos.values()]
    if as_json:
        click.echo(json.dumps(rows + hosts, indent=2))
        return
    for data in hosts:
        missing = f"no index in the store: run `cloche repo sync {data['name']}`"
        click.echo(f"{data['name']:<16} {data['type']:<9} {data['uri']}".rstrip())
        click.echo(f"{'':16} {data['state'] or missing}")
    for data in rows:
        where = data["uri"] or data["path"]
        click.echo(f"{data['name']:<16} {data['type']:<9} {where}".rstrip())
        if data["type"] != "directory":
            pinned = " --locked" if data["locked"] else ""
            missing = f"not in the store: run `cloche repo sync {data['name']}{pinned}`"
            click.echo(f"{'':16} {data['state'] or missing}")
    if not rows:
        say("no repositories; see [repos.NAME] in docs/project-files.md")


@repo.command(
    "rm",
    epilog="""\b
Examples:
  cloche repo rm gentoo --dry-run
  cloche repo rm gentoo
  cloche repo rm gentoo --all
""",
)
@click.argument("name", shell_complete=complete_repo)
@click.option("--all", "every", is_flag=True, help="Also drop the state that builds use now.")
@click.option("-n", "--dry-run", is_flag=True, help="Only show what would be done.")
@click.pass_obj
def rm_command(options: Options, name: str, every: bool, dry_run: bool) -> None:
    """Drop the states of NAME that builds no longer use; `cloche store gc` removes their files.

    Machines that were built from a state keep it as long as they exist.
    """
    project = load_project(options.directory)
    (spec,) = _named(project, (name,))
    with opened_store(options, project) as store:
        kept = None if every or spec.sync is None else find_tree(store, project, spec)
        trees = stored_trees(store, spec) if spec.sync is not None else ()
        given = [each for each in trees if kept is None or each.name != kept.name]
        for each in given:
            if not dry_run:
                store.unpin(each.name)
            say(f"{'would drop' if dry_run else 'dropped'} {name}: {_state(each)}")
    if not given:
        say(f"{name}: nothing to drop")


def _named(project: Project, names: tuple[str, ...]) -> list[RepoSpec]:
    """The repositories of these names, or all. Raises `ClocheError`."""
    for name in names:
        if name not in project.repos:
            raise unknown_repository(name, project.repos)
    return [project.repos[name] for name in names or project.repos]


def _found(store: Store, project: Project, spec: RepoSpec) -> Taken | None:
    return find_tree(store, project, spec) if spec.sync is not None else None


def _data(project: Project, spec: RepoSpec, taken: Taken | None) -> dict[str, Any]:
    """The details of a repository, for programs."""
    locked = locks.read(project.lock).repos.get(spec.name)
    path = taken.path if taken else spec.path
    return {
        "name": spec.name,
        "type": spec.sync.type if spec.sync else "directory",
        "uri": shown(spec.sync.uri) if spec.sync else "",
        "state": _state(taken) if taken else "",
        "tree": taken.pin.tree if taken else "",
        "path": str(path) if path else "",
        "locked": locked.tree if locked else "",
        "priority": spec.priority,
        "main": spec.main,
    }


def _host(store: Store, project: Project, spec: BinrepoSpec) -> dict[str, Any]:
    """The details of a binary package host, for programs."""
    try:
        index = binhosts.find(store, project, spec).index
    except MissingIndexError:
        index = ""
    pin = locks.read(project.lock).binrepos.get(spec.name)
    return {
        "name": spec.name,
        "type": "binhost",
        "uri": shown(spec.uri),
        "state": f"index {index[:12]}" if index else "",
        "index": index,
        "locked": pin.index if pin else "",
        "verify": spec.verify,
    }


def _state(taken: Taken) -> str:
    """The words that distinguish this state from others."""
    pin = taken.pin
    return pin.commit[:12] or pin.timestamp or pin.file or f"tree {pin.tree[:12]}"


def _report(text: str) -> None:
    say(f"  {text}")
