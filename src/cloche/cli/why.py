"""`cloche why`."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict

import click

from cloche.cli.options import Options, opened_store, say, unknown_word
from cloche.display.text import seconds
from cloche.plan.depgraph import Depgraph, decode_depgraph
from cloche.plan.names import matching
from cloche.plan.why import changes, needed_by
from cloche.records.builds import newest_resolutions
from cloche.records.history import Run, runs_in
from cloche.store import Action, Store, names


@click.command(
    epilog="""\b
Examples:
  cloche why oniguruma
  cloche why app-misc/jq --json
"""
)
@click.argument("atom")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def why(options: Options, atom: str, as_json: bool) -> None:
    """Explain why ATOM is in its machines, and why it was last built."""
    with opened_store(options) as store:
        machines = list(_machines(store))
        known = {package.id for _, graph in machines for package in graph.packages}
        found = matching(atom, sorted(known))
        if not found:
            raise unknown_word(atom, known)
        answers = [_answer(store, name, machines) for name in found]
    if as_json:
        click.echo(json.dumps(answers, indent=2))
        return
    for answer in answers:
        _tell(answer)


def _machines(store: Store) -> Iterator[tuple[str, Depgraph]]:
    """Machines with their resolutions: of what was finished, then of a last build that was not."""
    finished = set()
    for pin in store.pins(names.MACHINES):
        depgraph, machine = pin.data.get("depgraph"), str(pin.data.get("machine"))
        finished.add(depgraph)
        if depgraph and (graph := _resolution(store, depgraph)) is not None:
            yield machine, graph
        elif depgraph:
            say(f"{machine} is left out: its resolution is gone; run `cloche build {machine}`")
    for machine, depgraph in newest_resolutions(store):
        if depgraph not in finished and (graph := _resolution(store, depgraph)) is not None:
            yield machine, graph


def _resolution(store: Store, blob: str) -> Depgraph | None:
    """A stored resolution, unless it was dropped or lost."""
    if not store.has_blob(blob):
        return None
    with suppress(FileNotFoundError):
        return decode_depgraph(store.blob(blob).path.read_bytes())
    return None


def _answer(store: Store, name: str, machines: list[tuple[str, Depgraph]]) -> dict[str, object]:
    needed = {}
    for machine, graph in machines:
        package = graph.by_id().get(name)
        if package is not None:
            needed[machine] = [
                {"package": link.package, "needs": link.edge.to, "atom": link.edge.atom,
                 "kinds": list(link.edge.kinds)}
                for link in needed_by(graph, name)
            ]  # fmt: skip
    runs = runs_in(store, name)
    builds = _builds(store.actions_of("build", name), runs)
    return {"package": name, "machines": needed, "builds": builds, "runs": list(map(asdict, runs))}


def _builds(actions: list[Action], runs: Sequence[Run]) -> list[dict[str, object]]:
    """The builds of a package, oldest first, each with what changed since the one before.

    Their seconds include the merge after the build.
    """
    whole = {run.key: run.seconds for run in runs}
    told: list[dict[str, object]] = []
    for before, action in zip([None, *actions], actions, strict=False):
        changed = changes(before.parts, action.parts) if before else ()
        told.append(
            {
                "time": action.created,
                "seconds": whole.get(action.key, action.seconds),
                "key": action.key,
                "changed": [{"part": c.part, "old": c.old, "new": c.new} for c in changed],
            }
        )
    return told


def _tell(answer: dict[str, object]) -> None:
    click.echo(str(answer["package"]))
    machines, builds, runs = answer["machines"], answer["builds"], answer["runs"]
    if not (isinstance(machines, dict) and isinstance(builds, list) and isinstance(runs, list)):
        raise TypeError(answer)
    for machine, links in machines.items():
        if not links:
            click.echo(f"  {machine}: was asked for")
            continue
        click.echo(f"  {machine}:")
        for link in links:
            kinds = ", ".join(link["kinds"])
            click.echo(f"    {link['package']} needs {link['atom'] or link['needs']} ({kinds})")
    for build in builds[-1:]:
        merged = all(run["failed"] != "merge" for run in runs if run["key"] == build["key"])
        took = f"{_when(build['time'])} in {seconds(build['seconds'])}"
        click.echo(f"  last built {took}" + ("" if merged else ", but not merged"))
        if len(builds) == 1:
            click.echo("    first build")
        for change in build["changed"]:
            click.echo(f"    {change['part']}: {_short(change['old'])} → {_short(change['new'])}")
    for run in runs[-1:]:
        if run["failed"]:
            click.echo(f"  its {run['failed']} failed {_when(run['time'])}")
    if not builds:
        say("  not built yet")


def _when(moment: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(moment))


def _short(value: str | None) -> str:
    if value is None:
        return "(not there)"
    return value if len(value) <= 60 else f"{value[:28]}…{value[-28:]}"
