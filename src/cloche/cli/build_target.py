"""`cloche build --target`: packages for a machine that is reached by ssh."""

from __future__ import annotations

import time
from pathlib import Path

import click

from cloche.cli.build import tell_results
from cloche.cli.options import Options, opened_session
from cloche.cli.showing import Shown
from cloche.cli.target_options import TargetChoice
from cloche.cli.terminable import terminable
from cloche.config.project import Project
from cloche.display.kinds import Display
from cloche.display.plain import JsonLines
from cloche.display.text import count, seconds
from cloche.output.claim import BINPKGS, check_directory, check_replaceable
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
    shown = Shown(display, quiet=isinstance(display, JsonLines))
    wish = over_ssh.Wish(atoms, output, target.leave_out, target.mount)
    if target.mount:
        mounted.prepare()  # before anything is started
    with (
        terminable(),
        opened_connection(address) as connection,  # before a session enters its user namespace
        opened_session(options, project, sink=shown) as session,
        shown.work_of(session),
    ):
        result = over_ssh.build(session, connection, wish, choices)
        logs = session.store.logs
    if shown.quiet:
        return
    took = seconds(time.monotonic() - began)
    summary = f"{count(result.built, 'package')} built, {result.reused} reused, {took} in all"
    tell_results(result, logs, summary)
    if packages := result.outputs.get("packages"):
        how = over_ssh.how_to_install(address, packages, atoms)
        click.echo(f"to install them there: {how}")
    else:
        click.echo("nothing has to be merged there")
