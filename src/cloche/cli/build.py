"""`cloche plan` and `cloche build`."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import click

from cloche.build.errors import BuildError
from cloche.build.events import Delivered, Sink
from cloche.build.machine import Built, build_machine
from cloche.build.preview import Forecast, forecast, live_to_build
from cloche.build.record import recorded
from cloche.build.work import Worker
from cloche.cli.complete import complete_machine
from cloche.cli.terminable import terminable
from cloche.cli.workplace import (
    Choices,
    Options,
    complaints_of,
    opened_workshop,
    prepared,
    say,
    telling_of_long_stages,
)
from cloche.config.complaints import Complaint
from cloche.config.project import load_project
from cloche.display.jsonlines import JsonLines
from cloche.display.live import Live, capable
from cloche.display.plain import Plain
from cloche.display.text import count, one_line, seconds, size
from cloche.output.claim import check_output
from cloche.output.deliver import Delivered as Results
from cloche.output.deliver import check_hooks_of_done, deliver, remember

STRICT = "Hide all of the seed but a named toolchain from builds."

Function = Callable[..., Any]
Progress = Literal["auto", "live", "plain", "json"]


def common(function: Function) -> Function:
    """Options that planning and building share."""
    for option in (
        click.argument("machine", shell_complete=complete_machine),
        click.option(
            "--strict", is_flag=True, help="Hide all of the seed but a named toolchain from builds."
        ),
        click.option("--offline", is_flag=True, help="Fetch nothing; say what is missing."),
        click.option(
            "--strict-hooks",
            is_flag=True,
            help="Refuse packages whose hooks change what other packages own.",
        ),
        click.option(
            "--strict-config",
            is_flag=True,
            help="Refuse a configuration of which a part has no effect.",
        ),
        click.option("--locked", is_flag=True, help="Refuse whatever is not as in cloche.lock."),
        click.option(
            "-j", "--jobs", type=click.IntRange(1), help="Packages built at once [all cores]."
        ),
    ):
        function = option(function)
    return function


@click.command(
    epilog="""\b
Examples:
  cloche plan workbench
  cloche plan workbench --strict-config
  cloche plan workbench --json | jq -r '.packages[] | select(.fate=="build") | .cpv'
"""
)
@common
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_obj
def plan(
    options: Options,
    machine: str,
    jobs: int | None,
    offline: bool,
    strict: bool,
    strict_hooks: bool,
    strict_config: bool,
    locked: bool,
    as_json: bool,
) -> None:
    """Show what a build of MACHINE would do: what is reused, what is built, what it sees."""
    project = load_project(options.directory)
    wanted = project.machine(machine)
    choices = Choices(
        jobs=jobs,
        offline=offline,
        strict=strict,
        locked=locked,
        strict_hooks=strict_hooks,
        strict_config=strict_config,
    )
    with opened_workshop(options, project, wanted, choices, telling_of_long_stages()) as shop:
        worker = prepared(shop, project, wanted, choices)
        fates = forecast(worker)
        if (live := live_to_build(worker, fates)) is not None:
            say(f"warning: {one_line(str(live))}")
        known = {name: each.made for name, each in fates.items() if each.made is not None}
        check_hooks_of_done(worker, known)
    if as_json:
        data = _as_data(worker, fates, complaints_of(worker, wanted))
        click.echo(json.dumps(data, indent=2))
    else:
        click.echo(_table(worker, fates))


@click.command(
    epilog="""\b
Examples:
  cloche build workbench
  cloche build workbench --jobs 2 --keep-going
  cloche build workbench --offline --locked
  cloche build workbench --strict-hooks
  cloche build workbench --strict-config
  cloche build workbench --progress json > events.jsonl
"""
)
@common
@click.option("-k", "--keep-going", is_flag=True, help="After a failure, do all that can be done.")
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, readable=False, path_type=Path),
    help="Where tarball and packages are put [PROJECT/out/MACHINE]; `binpkgs` there is replaced "
    "if cloche made it.",
)
@click.option(
    "--progress",
    type=click.Choice(["auto", "live", "plain", "json"]),
    default="auto",
    help="A picture, lines for people, or events for programs [auto: live on a terminal].",
)
@click.option("-v", "--verbose", is_flag=True, help="Show the phases, too.")
@click.pass_obj
def build(
    options: Options,
    machine: str,
    jobs: int | None,
    offline: bool,
    strict: bool,
    strict_hooks: bool,
    strict_config: bool,
    locked: bool,
    keep_going: bool,
    output: Path | None,
    progress: Progress,
    verbose: bool,
) -> None:
    """Build MACHINE: packages, layers, the stage4 tarball, the package directory."""
    began = time.monotonic()
    project = load_project(options.directory)
    wanted = project.machine(machine)
    directory = (output or project.root / "out" / machine).absolute()
    check_output(directory)
    choices = Choices(jobs, keep_going, offline, strict, locked, strict_hooks, strict_config)
    display = make_display(progress, verbose=verbose)
    with (
        terminable(),
        opened_workshop(options, project, wanted, choices, display) as shop,
        _closing(display),
        recorded(shop),
    ):
        if isinstance(display, Live):
            display.attach(shop.running.stop_package)
        worker = prepared(shop, project, wanted, choices)
        try:
            built = build_machine(shop, worker)
            delivered = deliver(shop, worker, built, wanted, directory)
        except BaseException as error:
            remember(shop, worker, wanted)
            display.close()  # before anything else is written where it draws
            if isinstance(error, BuildError):
                _tell_failures(error)
            raise
        shop.bus(
            Delivered(
                packages=str(delivered.binpkgs),
                stage4=str(delivered.stage4) if delivered.stage4 else None,
                logs=str(shop.store.logs),
            )
        )
    if progress != "json":
        _tell_results(delivered, shop.store.logs, built, time.monotonic() - began)


def make_display(progress: Progress, *, verbose: bool) -> JsonLines | Plain | Live:
    """The sink that ``--progress`` names."""
    if progress == "json":
        return JsonLines(sys.stdout)
    if progress in ("auto", "live") and capable(sys.stderr, os.environ):
        return Live(sys.stderr)
    if progress == "live":
        say("no picture can be drawn here (standard error is no terminal, or TERM is dumb): lines")
    return Plain(sys.stderr, verbose=verbose)


def _tell_results(delivered: Results, logs: Path, built: Built, took: float) -> None:
    if delivered.stage4:
        length = size(delivered.stage4.stat().st_size)
        click.echo(f"stage4    {delivered.stage4}  ({length})")
    click.echo(f"packages  {delivered.binpkgs}")
    click.echo(f"logs      {logs}")
    number = count(built.built, "package")
    click.echo(f"{number} built, {built.reused} reused, {seconds(took)} in all")


def _tell_failures(error: BuildError) -> None:
    """Show the end of each failed log and what is known of the cause."""
    for each in error.errors:
        say()
        if each.detail:
            say(each.detail)
        say(one_line(f"{each.where}: {each.what}" if each.where else each.what))
        if each.todo:
            say(f"  {each.todo}")
        if enter := getattr(each, "enter", None):
            say(f"  look around in its root: {enter}")
    say()


@contextmanager
def _closing(display: Sink) -> Iterator[None]:
    try:
        yield
    finally:
        display.close()  # type: ignore[attr-defined]


def _as_data(
    worker: Worker, fates: dict[str, Forecast], complaints: tuple[Complaint, ...]
) -> dict[str, Any]:
    plan_ = worker.plan
    return {
        "machine": worker.shop.inputs.machine,
        "warnings": [
            {
                "file": str(each.origin.file) if each.origin else None,
                "line": each.origin.line if each.origin else None,
                "text": each.text,
            }
            for each in complaints
        ],
        "packages": [
            {
                "id": package.id,
                "cpv": package.cpv,
                "slot": f"{package.slot}/{package.sub_slot}",
                "use": list(package.use),
                "requested": package.requested,
                "member": package.id in plan_.members,
                "live": "live" in package.properties,
                "fate": fates[package.id].fate,
                "layer": fates[package.id].layer,
                "binrepo": package.binary.host if package.binary else None,
                "visible": {
                    "build": list(plan_.visible[package.id].build),
                    "merge": list(plan_.visible[package.id].merge),
                },
                "edges": [
                    {"to": edge.to, "kinds": list(edge.kinds), "atom": edge.atom}
                    for edge in package.edges
                ],
            }
            for package in plan_.packages
        ],
    }


def _table(worker: Worker, fates: dict[str, Forecast]) -> str:
    lines = []
    for package in worker.plan.packages:
        flags = [f if f in package.use else f"-{f}" for f in package.iuse]
        use = f'  USE="{" ".join(flags)}"' if flags else ""
        where = "" if package.id in worker.plan.members else "  (for building only)"
        where += f"  (binary, {package.binary.host})" if package.binary else ""
        where += "  (live)" if "live" in package.properties else ""
        lines.append(f"{fates[package.id].fate:<8} {package.cpv}:{package.slot}{use}{where}")
    totals = {
        fate: sum(1 for each in fates.values() if each.fate == fate)
        for fate in ("build", "fetch", "merge", "perhaps", "reuse")
    }
    parts = ", ".join(f"{number} to {fate}" for fate, number in totals.items() if number)
    return "\n".join([*lines, "", f"{count(len(fates), 'package')}: {parts}"])
