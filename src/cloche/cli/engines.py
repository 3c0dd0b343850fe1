"""`cloche engines`: the sandbox engines of this host, and what they isolate."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import click

from cloche.cli.complete import complete_engine
from cloche.cli.options import Options, opened_store, say
from cloche.cli.usage import Number
from cloche.display import engines as shown
from cloche.engines import choice
from cloche.errors import Exit
from cloche.probing import availability, battery
from cloche.probing.roots import Root, given_root, host_root
from cloche.probing.traps import planted
from cloche.seeds.stored import stored_seeds
from cloche.store import Store


@dataclass(frozen=True, slots=True)
class Found:
    """What the probes found, and in which root."""

    root: str
    looked: tuple[availability.Availability, ...]
    probed: tuple[battery.Probed, ...]


@click.command(
    epilog="""\b
Examples:
  cloche engines
  cloche engines --json | jq -r '.[] | select(.there).name'
  cloche engines --probe
  cloche engines --probe native bwrap --verbose
  cloche engines --probe --root /mnt/gentoo --json

\b
Probing tries everything from inside: cloche puts a file, a process, a key … where a
sandbox must not find it, and checks whether it does. This takes a few seconds for
each engine, and some minutes for emulated machines. The root is --root, or the newest
seed of the store, or else an empty root with the host's /usr.
"""
)
@click.argument("names", nargs=-1, shell_complete=complete_engine)
@click.option("--probe", is_flag=True, help="Test and measure each available engine.")
@click.option(
    "--root",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Probe in this root; it needs a /usr/bin/python3.",
)
@click.option(
    "--rounds",
    type=Number(0, 100),
    default=3,
    help="How often to measure each engine; 0 measures nothing [3].",
)
@click.option("-v", "--verbose", is_flag=True, help="Show the evidence for each answer.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def engines(
    options: Options,
    names: tuple[str, ...],
    probe: bool,
    root: Path | None,
    rounds: int,
    verbose: bool,
    as_json: bool,
) -> None:
    """List the sandbox engines, or test them with --probe.

    The list shows which engines (of NAMES) are available, and what they isolate. --probe tests what
    of the host is visible inside, what works inside, and what it costs.
    """
    for name in names:
        choice.nature_of(name)
    with opened_store(options, make=True) as store, store.workspace("engines") as room:
        looked = tuple(availability.look(name, room) for name in names or choice.NAMES)
        if not probe:
            click.echo(_told(looked) if as_json else shown.listing(looked))
            return
        found = _probe(store, room, looked, root, rounds)
    if as_json:
        click.echo(json.dumps(_data(found), indent=2))
    elif found.probed:
        click.echo(shown.table(found.probed))
        if verbose:
            click.echo("\n" + shown.details(found.probed))
    missing = [each.name for each in looked if names and not each.there]
    for each in looked:
        if not each.there:
            say(f"{each.name}: not available: {shown.why_not(each)}")
    if missing or any(each.error for each in found.probed):
        sys.exit(Exit.HOST)


def _probe(
    store: Store,
    room: Path,
    looked: tuple[availability.Availability, ...],
    root: Path | None,
    rounds: int,
) -> Found:
    """Probe all available engines."""
    there = [(each.name, partial(choice.make_engine, each.name)) for each in looked if each.there]
    with planted(room, lambda place: _root(store, root, place)) as (traps, within):
        say(f"probing in {within.about}")
        probed = battery.probe(
            there,
            within,
            traps,
            rounds=rounds,
            report=lambda name, doing: say(f"  {name}: {doing}"),
        )
    return Found(within.about, looked, probed)


def _root(store: Store, given: Path | None, place: Path) -> Root:
    """The root to probe in: the given one, the newest seed, or one with the host's programs."""
    if given is not None:
        return given_root(given.absolute(), "the tree of --root")
    seeds = sorted(stored_seeds(store), key=lambda seed: seed.about.created)
    if not seeds:
        return host_root(place)
    newest = seeds[-1]
    return given_root(
        store.tree(newest.layer).path, f"seed {newest.about.name} ({newest.layer[:12]})"
    )


def _told(looked: Sequence[availability.Availability]) -> str:
    return json.dumps([_about(each) for each in looked], indent=2)


def _about(each: availability.Availability) -> dict[str, object]:
    return {
        "name": each.name,
        "there": each.there,
        "reason": each.reason,
        "todo": each.todo,
        "default": each.name == choice.DEFAULT,
        **dataclasses.asdict(each.nature),
    }


def _data(found: Found) -> dict[str, object]:
    return {
        "root": found.root,
        "questions": [dataclasses.asdict(question) for question in battery.QUESTIONS],
        "engines": [_about(each) for each in found.looked],
        "probed": [dataclasses.asdict(each) for each in found.probed],
    }
