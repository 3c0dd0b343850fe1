"""`cloche build --target`: packages for a machine that is reached by ssh."""

from __future__ import annotations

import time
from pathlib import Path

import click

from cloche.building.errors import BuildError
from cloche.cli.build import closing, tell_failures, tell_results, telling
from cloche.cli.options import Options, opened_session
from cloche.cli.target_options import TargetChoice
from cloche.cli.terminable import terminable
from cloche.config.project import Project
from cloche.display.elog import Collector
from cloche.display.kinds import Display
from cloche.display.plain import JsonLines
from cloche.display.text import count, seconds
from cloche.output.claim import BINPKGS, check_directory, check_replaceable
from cloche.records.events import Event
from cloche.session.choices import Choices
from cloche.targets import mounted, over_ssh
from cloche.targets.connection import opened_connection


def build_for_target(
    options: Options,
    project: Project,
    target: TargetChoice,
    atoms: tuple[str, ...],
    choices: Choices,
    output: Path,
    display: Display,
) -> None:
    """Build packages for a target; say where they are and how to install them."""
    began, address = time.monotonic(), target.address
    if address is None:
        raise ValueError("no target was chosen")
    check_directory(output)
    check_replaceable(output / BINPKGS)
    collector = Collector()
    progress = "json" if isinstance(display, JsonLines) else ""

    def sink(event: Event) -> None:
        display(event)
        collector(event)

    wish = over_ssh.Wish(atoms, output, target.leave_out, target.mount)
    if target.mount:
        mounted.prepare()  # before anything is started
    with (
        terminable(),
        closing(display),
        opened_connection(address) as connection,  # before a session enters its user namespace
        opened_session(options, project, sink=sink) as session,
        telling(collector, progress),
    ):
        display.attach(session.stop_package)
        try:
            result = over_ssh.build(session, connection, wish, choices)
        except BaseException as error:
            display.close()  # before anything else is written to its terminal
            if isinstance(error, BuildError):
                tell_failures(error)
                error.detail = None  # already printed
            raise
        logs = session.store.logs
    if progress == "json":
        return
    took = seconds(time.monotonic() - began)
    summary = f"{count(result.built, 'package')} built, {result.reused} reused, {took} in all"
    tell_results(result, logs, summary)
    if packages := result.outputs.get("packages"):
        how = over_ssh.how_to_install(address, packages, atoms)
        click.echo(f"to install them there: {how}")
    else:
        click.echo("nothing has to be merged there")
