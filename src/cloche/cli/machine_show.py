"""`cloche machine show`: how a machine is declared, and what a build of it holds."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

import click

from cloche.cli.complete import complete_machine
from cloche.cli.machine_state import Summary, ended, held_by, split, summary_of
from cloche.cli.options import Options, check_machine, opened_session, opened_store, say
from cloche.config.machine import Machine
from cloche.config.project import Project, load_project
from cloche.display.text import count, date, one_line, size
from cloche.errors import ClocheError
from cloche.output.holdings import Holding, ended_badly, finished_builds
from cloche.output.secrets import all_secrets
from cloche.output.system import System, system_of
from cloche.seeds.stored import find_seed
from cloche.store import Store

#: What the states of `Summary` mean.
STATES = {
    "current": "current: a build would change nothing",
    "behind": "behind its sources: a build would change it",
    "failed": "the last build failed",
}


@click.command(
    epilog="""\b
Examples:
  cloche machine show web
  cloche machine show web@3 --json
"""
)
@click.argument("name", metavar="MACHINE[@BUILD]", shell_complete=complete_machine)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def show(options: Options, name: str, as_json: bool) -> None:
    """Show how MACHINE is declared and what its last build, or the build BUILD, holds.

    Of the last build it says, too, whether a build would change something now.
    """
    project = load_project(options.directory)
    asked, number = split(name)
    check_machine(asked, project.machines, project.root / "machines")
    machine = project.machine(asked)
    with opened_store(options, project) as store:
        declared = _declared(machine, _seed_layer(store, project, machine))
        there = number is not None or finished_builds(store, project.place, asked)
        held = held_by(store, project, name) if there else None
        last = ended_badly(store, project.place, asked) if number is None else None
    now = None
    if held is not None and number is None:
        with opened_session(options, project) as session:
            now = summary_of(session, asked)
    if as_json:
        packages = [asdict(each) for each in held.packages.values()] if held else []
        data = {
            **declared,
            "build": asdict(held.run) if held else None,
            "built": ended(held.run) if held else None,
            "size": held.size if held else None,
            "state": now.state if now else None,
            "last": asdict(last) if last else None,
            "packages": packages,
        }
        click.echo(json.dumps(data, indent=2))
        return
    for line in _told_of(declared):
        click.echo(one_line(line))
    if last is not None:
        how = "failed" if last.result == "failed" else "was not completed"
        click.echo(f"{'last':<10}build {last.number} {how}, see `cloche report {asked}`")
    if held is None:
        click.echo(f"{'build':<10}not built yet")
        return
    for line in _told_of_build(held, now):
        click.echo(line)
    if now is not None and now.why:
        say(f"{asked}: {now.why}")


def _told_of_build(held: Holding, now: Summary | None) -> Iterator[str]:
    """Lines about a build and its packages."""
    yield f"{'build':<10}{held.run.number}, {count(len(held.packages), 'package')}"
    yield f"{'built':<10}{date(ended(held.run))}"
    yield f"{'size':<10}{size(held.size)}"
    if now is not None:
        yield f"{'state':<10}{STATES.get(now.state, now.state)}"
    for each in held.packages.values():
        use = f'  USE="{" ".join(each.use)}"' if each.use else ""
        how_large = "-" if each.size is None else size(each.size)
        yield f"  {how_large:>10}  {each.name}-{each.version}::{each.repo}{use}"


def _told_of(declared: Mapping[str, Any]) -> Iterator[str]:
    """Lines about what a machine's file says."""
    for key, value in declared.items():
        if key == "secrets":
            for each in value:
                yield f"{'secret':<10}{each['what']} from {each['source']}"
        elif key == "system":
            yield from _told_of_system(value)
        elif key == "sets":
            for name, members in value.items():
                yield f"{'set':<10}{name}: {' '.join(members)}"
        elif value and key not in ("finish", "seed_layer"):
            text = value if isinstance(value, str) else " ".join(value)
            layer = declared["seed_layer"] or "not in the store"
            yield f"{key:<10}{text}{f'  {layer}' if key == 'seed' else ''}"


def _told_of_system(system: System) -> Iterator[str]:
    """Lines about sections; of kernel options and files, which can be hundreds, only the number."""
    for section, values in system.items():
        options = [name for name in values if name.startswith("CONFIG_")]
        many = options if section == "kernel" else [*values] if section == "files" else []
        for name in (each for each in values if each not in many):
            yield f"{section:<9} {name}{f'  {values[name]}' if values[name] else ''}"
        if many:
            kind = "option" if section == "kernel" else "file"
            yield f"{section:<9} {count(len(many), kind)}"


def _seed_layer(store: Store, project: Project, machine: Machine) -> str | None:
    """The id of its seed's layer, if the store has one."""
    try:
        found = find_seed(store, project, project.seeds[machine.seed])
    except ClocheError:
        return None
    return found.layer if found is not None else None


def _declared(machine: Machine, seed: str | None) -> dict[str, Any]:
    return {
        "machine": machine.name,
        "file": str(machine.file.relative_to(machine.root)),
        "seed": machine.seed,
        "seed_layer": seed,
        "root": "own" if machine.own_root else "seed",
        "profile": f"{machine.profile.repo}:{machine.profile.path}",
        "portage": [each.name for each in machine.fragments],
        "targets": list(machine.targets),
        "sets": {
            name: [asked.atom for asked in found.members]
            for name, found in machine.set_files.items()
        },
        "finish": list(dict.fromkeys(step.kind for step in machine.finish)),
        "system": {
            section: values
            for section, values in system_of(machine).items()
            if section not in ("machine", "secrets")
        },
        "secrets": [{"what": each.title, "source": each.source} for each in all_secrets(machine)],
    }
