"""`cloche build`, and the options that it shares with `cloche plan`."""

from __future__ import annotations

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
from cloche.build.record import recorded
from cloche.cli.complete import complete_fragment, complete_machine
from cloche.cli.terminable import terminable
from cloche.cli.workplace import (
    Choices,
    Options,
    opened_workshop,
    prepared,
    say,
)
from cloche.config.project import load_project
from cloche.display.jsonlines import JsonLines
from cloche.display.live import Live, capable
from cloche.display.plain import Plain
from cloche.display.text import count, one_line, seconds, size
from cloche.output.claim import check_output
from cloche.output.deliver import Delivered as Results
from cloche.output.deliver import deliver, remember

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
        click.option(
            "--autounmask-write",
            metavar="FRAGMENT",
            shell_complete=complete_fragment,
            help="Where Portage proposes changes (USE, keywords, licences, masks), write them into "
            "this fragment of the machine, and stop.",
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
    autounmask_write: str | None,
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
    choices = Choices(
        jobs, keep_going, offline, strict, locked, strict_hooks, strict_config, autounmask_write
    )
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
