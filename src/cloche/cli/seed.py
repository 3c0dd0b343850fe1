"""`cloche seed`: the roots in which Portage runs."""

from __future__ import annotations

import dataclasses
import json
import time

import click

from cloche.cli.complete import complete_seed
from cloche.cli.workplace import Options, opened_engine, opened_store, say, try_host
from cloche.config.project import Project, SeedSpec, load_project
from cloche.display.text import seconds, size
from cloche.seeds.errors import UnknownSeedError
from cloche.seeds.stored import StoredSeed, bootstrap, find_seed, lock_found, stored_seeds
from cloche.store import Store


@click.group(
    epilog="""\b
Examples:
  cloche seed bootstrap
  cloche seed list --json
  cloche seed show debian
  cloche seed rm debian
"""
)
def seed() -> None:
    """Make, list and remove seeds: the root trees in which Portage runs."""


@seed.command("bootstrap")
@click.argument("name", required=False, shell_complete=complete_seed)
@click.option("--mirror", help="Debian mirror [the host's, from apt's configuration].")
@click.option("--update", is_flag=True, help="Take newer packages than cloche.lock has.")
@click.option("--force", is_flag=True, help="Make it again although it is there.")
@click.pass_obj
def bootstrap_command(
    options: Options, name: str | None, mirror: str | None, update: bool, force: bool
) -> None:
    """Make the project's seed NAME (its only one, where there is one): half a minute.

    A Debian tree by mmdebstrap with a toolchain, and Portage from its own release. What it is made
    of is written to cloche.lock.
    """
    project = load_project(options.directory)
    spec = _declared(project, name)
    began = time.monotonic()
    with opened_engine() as engine, opened_store(options, project) as store:
        made = find_seed(store, project, spec)
        if made is not None and not (force or update):
            lock_found(store, project, spec, made)
            say(f"seed {spec.name}: here already ({made.layer[:12]})")
            return
        try_host(store)
        with store.lock(f"seed-{spec.name}"):
            made = bootstrap(
                store, engine, project, spec, mirror=mirror, update=update, report=_report
            )
        tree = store.tree(made.layer)
    say(
        f"seed {spec.name}: {tree.files} files, {size(tree.size)}, "
        f"Portage {made.about.portage}, in {seconds(time.monotonic() - began)}"
    )


@seed.command("list")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_obj
def list_command(options: Options, as_json: bool) -> None:
    """List the seeds in the store."""
    with opened_store(options) as store:
        seeds = stored_seeds(store)
        if as_json:
            click.echo(json.dumps([dataclasses.asdict(each.about) for each in seeds], indent=2))
            return
        for each in seeds:
            about, tree = each.about, store.tree(each.layer)
            click.echo(
                f"{about.name:<12} {about.layer[:12]}  {about.type} {about.suite} {about.arch}  "
                f"Portage {about.portage}  {size(tree.size)}"
            )
    if not seeds:
        say("no seeds yet; run `cloche seed bootstrap` in a project")


@seed.command("show")
@click.argument("name", shell_complete=complete_seed)
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_obj
def show_command(options: Options, name: str, as_json: bool) -> None:
    """Show what is known of the seed NAME."""
    with opened_store(options) as store:
        for each in _named(store, name):
            data = dataclasses.asdict(each.about) | {"path": str(store.tree(each.layer).path)}
            if as_json:
                click.echo(json.dumps(data, indent=2))
                continue
            for key, value in data.items():
                click.echo(f"{key:<9} {value}")


@seed.command("rm")
@click.argument("name", shell_complete=complete_seed)
@click.option("-n", "--dry-run", is_flag=True, help="Only say what would be done.")
@click.pass_obj
def rm_command(options: Options, name: str, dry_run: bool) -> None:
    """Give up the seed NAME; the next `cloche store gc` removes its files.

    Machines that were built with it keep it for as long as they are there.
    """
    with opened_store(options) as store:
        for each in _named(store, name):
            if not dry_run:
                store.unpin(each.pin)
            say(f"{'would give' if dry_run else 'gave'} up seed {name} ({each.layer[:12]})")


def _declared(project: Project, name: str | None) -> SeedSpec:
    if name is None and len(project.seeds) == 1:
        return next(iter(project.seeds.values()))
    if name is None:
        raise click.UsageError(f"name one of: {', '.join(project.seeds) or 'none is declared'}")
    if name not in project.seeds:
        raise UnknownSeedError(name, tuple(project.seeds))
    return project.seeds[name]


def _named(store: Store, name: str) -> list[StoredSeed]:
    seeds = stored_seeds(store)
    found = [each for each in seeds if each.about.name == name]
    if not found:
        raise UnknownSeedError(name, tuple(each.about.name for each in seeds))
    return found


def _report(text: str) -> None:
    say(f"  {text}")
