"""`cloche seed`: the roots in which Portage runs."""

from __future__ import annotations

import dataclasses
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from cloche.cli.complete import complete_seed
from cloche.cli.options import Options, opened_session, opened_store, project_or_none, say
from cloche.cli.progress import Transferred
from cloche.cli.terminable import terminable
from cloche.cli.usage import Group
from cloche.config import lock as locks
from cloche.config.project import Project, SeedSpec, load_project
from cloche.display.text import date, seconds, size
from cloche.seeds.errors import unknown_seed
from cloche.seeds.stored import Seed, StoredSeed, stored_seeds, used_by
from cloche.session.inputs import Progressing, SeedOptions, declared_seed
from cloche.session.session import Session
from cloche.store import Store

MIRROR = (
    "Mirror: of Debian [the host's, from apt's configuration], or of Gentoo [the declared one, "
    "$CLOCHE_GENTOO_MIRROR, Gentoo's default]."
)
KEYRING = "File of OpenPGP keys to verify a stage3 with [the declared one, Gentoo's]."
FILE = click.Path(dir_okay=False, exists=True, path_type=Path)


@click.group(
    cls=Group,
    epilog="""\b
Examples:
  cloche seed add stage3 --arch amd64 --flavour openrc
  cloche seed bootstrap
  cloche seed list --json
  cloche seed show debian
  cloche seed rm debian
""",
)
def seed() -> None:
    """Make, list and drop seeds, the root trees in which Portage runs."""


@seed.command(
    "bootstrap",
    epilog="""\b
Examples:
  cloche seed bootstrap
  cloche seed bootstrap debian --update
""",
)
@click.argument("name", required=False, shell_complete=complete_seed)
@click.option("--mirror", help=MIRROR)
@click.option("--keyring", type=FILE, help=KEYRING)
@click.option("--update", is_flag=True, help="Take the newest instead of what cloche.lock pins.")
@click.option("--force", is_flag=True, help="Make it again even if it exists.")
@click.pass_obj
def bootstrap_command(
    options: Options,
    name: str | None,
    mirror: str | None,
    keyring: Path | None,
    update: bool,
    force: bool,
) -> None:
    """Make the project's seed NAME (may be left out if the project has only one).

    A Debian seed is made by mmdebstrap with a toolchain, and with Portage from its own release, in
    about half a minute on an idle machine. Other seeds are fetched or copied as declared.
    Everything that a seed is made of is pinned in cloche.lock; a seed that is already pinned is
    made from the same again.
    """
    project = load_project(options.directory)
    how = SeedOptions(mirror, keyring, update=update, force=force)
    make_seed(options, project, declared_seed(project, name), how)


def make_seed(options: Options, project: Project, spec: SeedSpec, how: SeedOptions) -> StoredSeed:
    """Make a declared seed unless it exists, and report it."""
    with terminable(), opened_session(options, project) as session:
        return say_of_seed(session, spec, how)


def say_of_seed(session: Session, spec: SeedSpec, how: SeedOptions) -> StoredSeed:
    """Make a declared seed unless it exists, and report it."""
    began = time.monotonic()
    progress = Progressing(report=_report, bytes=Transferred().progress)
    made = session.seed(spec, replace(how, progress=progress))
    seed, about = made.seed, made.seed.about
    if not made.new:
        say(f"seed {spec.name}: already in the store ({seed.layer[:12]})")
        return seed
    tree = session.store.tree(seed.layer)
    say(
        f"seed {spec.name}: {tree.files} files, {size(tree.size)}, "
        f"Portage {about.portage}, in {seconds(time.monotonic() - began)}"
    )
    return seed


@seed.command(
    "list",
    epilog="""\b
Examples:
  cloche seed list
  cloche seed list --json | jq -r '.[].layer'
""",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def list_command(options: Options, as_json: bool) -> None:
    """List the seeds in the store."""
    with opened_store(options) as store:
        seeds = stored_seeds(store)
        rows = [data_of(store, each) for each in seeds]
        if as_json:
            click.echo(json.dumps(rows, indent=2))
            return
        locked = _locked(options)
        for each, data in zip(seeds, rows, strict=True):
            about, tree = each.about, store.tree(each.layer)
            made = date(about.created)
            click.echo(
                f"{about.name:<12} {about.layer[:12]}  {_kind(about)} {about.arch}  "
                f"Portage {about.portage}  {size(tree.size)}"
            )
            click.echo(
                f"{'':12} declared as {each.declaration}, made {made}"
                + (", in this project's cloche.lock" if each.layer in locked else "")
            )
            for machine in data["used_by"]:
                click.echo(f"{'':12} used by {machine}")
    if not seeds:
        say("no seeds yet; run `cloche seed bootstrap` in a project")


@seed.command(
    "show",
    epilog="""\b
Examples:
  cloche seed show debian
  cloche seed show debian --json | jq '.[0].path'
""",
)
@click.argument("name", shell_complete=complete_seed)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def show_command(options: Options, name: str, as_json: bool) -> None:
    """Show details of the seed NAME."""
    with opened_store(options) as store:
        rows = [data_of(store, each) for each in _named(store, name)]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    for data in rows:
        for key, value in data.items():
            shown = ", ".join(value) if isinstance(value, tuple) else value
            if key == "created":
                shown = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(value))
            click.echo(f"{key:<11} {shown}")


@seed.command(
    "rm",
    epilog="""\b
Examples:
  cloche seed rm debian --dry-run
  cloche seed rm debian 1a2b3c
  cloche seed rm debian --all
""",
)
@click.argument("name", shell_complete=complete_seed)
@click.argument("layer", required=False)
@click.option("--all", "every", is_flag=True, help="All seeds of this name.")
@click.option("-n", "--dry-run", is_flag=True, help="Only show what would be done.")
@click.pass_obj
def rm_command(options: Options, name: str, layer: str | None, every: bool, dry_run: bool) -> None:
    """Drop the seed NAME; the next `cloche store gc` removes its files.

    If several seeds have that name, LAYER is the beginning of the id of one of them. Machines that
    were built with a seed keep it as long as they exist.
    """
    with opened_store(options) as store:
        for each in _chosen(_named(store, name), layer or "", every=every):
            if not dry_run:
                store.unpin(each.pin)
            say(f"{'would drop' if dry_run else 'dropped'} seed {name} ({each.layer[:12]})")


def _kind(about: Seed) -> str:
    return f"{about.type} {about.suite}".rstrip()


def _named(store: Store, name: str) -> list[StoredSeed]:
    seeds = stored_seeds(store)
    found = [each for each in seeds if each.about.name == name]
    if not found:
        raise unknown_seed(name, (each.about.name for each in seeds))
    return found


def _chosen(found: list[StoredSeed], layer: str, *, every: bool) -> list[StoredSeed]:
    """The seed to drop: one, or all of them with ``--all``."""
    fits = [each for each in found if each.layer.startswith(layer)]
    if not fits or (len(fits) > 1 and not every):
        layers = ", ".join(each.layer[:12] for each in found)
        raise click.UsageError(f"give the beginning of one of these layers, or --all: {layers}")
    return fits


def data_of(store: Store, each: StoredSeed) -> dict[str, Any]:
    """The details of a seed, for programs."""
    return dataclasses.asdict(each.about) | {
        "declaration": each.declaration,
        "used_by": used_by(store, each),
        "path": str(store.tree(each.layer).path),
    }


def _locked(options: Options) -> set[str]:
    """Layers in the lock of the project around the current directory."""
    project = project_or_none(options)
    return {each.layer for each in locks.read(project.lock).seeds.values()} if project else set()


def _report(text: str) -> None:
    say(f"  {text}")
