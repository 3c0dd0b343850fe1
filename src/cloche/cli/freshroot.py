"""`cloche freshroot`: a disposable root, in which `emerge` builds under glass, outside."""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import click

from cloche.cli.complete import complete_machine, complete_seed
from cloche.cli.freshroot_kept import complete_kept, diff, list_, rm, save
from cloche.cli.options import Options, engine_name, opened_session, say, store_path
from cloche.cli.running import run_in
from cloche.cli.terminable import terminable
from cloche.cli.usage import Group
from cloche.config.project import Project, load_project
from cloche.display.text import count, seconds
from cloche.errors import ClocheError
from cloche.linux.processes import die_with_parent


class Freshroots(Group):
    """A group that passes its first word to `open` if it is not the name of a command."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Commands for people."""
        return [name for name in super().list_commands(ctx) if not self.commands[name].hidden]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Look up a command as click does, including the hidden `answer`."""
        return click.Group.resolve_command(self, ctx, args)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Resolve a command as click does; the default, also for its options, is `open`."""
        if not args or (args[0] not in self.commands and args[0] not in ("-h", "--help")):
            args = ["open", *args]
        return super().parse_args(ctx, args)


def complete_ground(context: click.Context, param: click.Parameter, begun: str) -> list[str]:
    """Machines, seeds and kept roots."""
    known = (complete_machine, complete_seed, complete_kept)
    return [name for complete in known for name in complete(context, param, begun)]


@click.group(
    cls=Freshroots,
    epilog="""\b
Examples:
  cloche freshroot debian
  cloche freshroot web
  cloche freshroot web -- sh -c 'emerge app-misc/jq && jq --version'
  cloche freshroot web --keep experiment
  cloche freshroot experiment
  cloche freshroot diff experiment
  cloche freshroot save experiment --as web2
""",
)
def freshroot() -> None:
    """Open a disposable root, in which `emerge` builds under glass.

    `cloche freshroot NAME` is short for `cloche freshroot open NAME`.
    """


for each in (list_, rm, diff, save):
    freshroot.add_command(each)


@freshroot.command(
    "open",
    epilog="""\b
Examples:
  cloche freshroot open web
  cloche freshroot debian
  cloche freshroot web
  cloche freshroot web -- sh -c 'emerge app-misc/jq && jq --version'
  cloche freshroot web --network --keep experiment

\b
In the root, `emerge ATOM` resolves as ever. What it would build is built outside,
each package with only what it declares, then merged in the root. All is kept in
the store: machines and other freshroots reuse it.

\b
Exit status: that of COMMAND, as for `cloche shell`.
""",
)
@click.argument(
    "name", metavar="[SEED|MACHINE|KEPT]", required=False, shell_complete=complete_ground
)
@click.option("--network", is_flag=True, help="Give the root this host's network.")
@click.option("--keep", metavar="NAME", help="Keep the root under this name; NAME opens it again.")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@click.pass_obj
def open_(
    options: Options,
    name: str | None,
    network: bool,
    keep: str | None,
    command: tuple[str, ...],
) -> None:
    """Open a root over a SEED, or over a MACHINE as last built, or run COMMAND there.

    Without a name it is the project's only seed. Everything written there is gone at the end,
    unless it is kept.
    """
    from cloche.workflows import freshroot as roots
    from cloche.workflows import freshroot_kept
    from cloche.workflows.freshroot_desk import Desk

    project = load_project(options.directory)
    with ExitStack() as stack:
        stack.enter_context(terminable())
        declared = name is None or name in (*project.machines, *project.seeds)
        ground = roots.ground(project, name) if declared else None
        session = stack.enter_context(opened_session(options, project))
        found = None if ground else freshroot_kept.find(session.store, project, str(name))
        if found is not None:
            ground = roots.ground(project, found.about.ground)
            opening = roots.reopened(session, found, network=network)
        else:
            ground = ground or roots.ground(project, name)
            opening = roots.opened(session, ground, network=network, keep=keep)
        opened = stack.enter_context(opening)
        shell = opened.root.shell
        if not command and shell is None:
            raise roots.no_shell(ground)
        if opened.root.note:
            say(opened.root.note)
        desk = Desk(
            opened.room,
            opened.requests,
            _answering(options, project, ground.name, opened.pin),
            os.environ,
        )
        with desk.serving():
            status = run_in(session.engine, opened.root, command or (str(shell), "-l"))
    sys.exit(status)


def _answering(options: Options, project: Project, name: str, pin: str) -> tuple[str, ...]:
    """The command that carries out a request; see `answer`."""
    return (
        *(sys.executable, "-m", "cloche.cli", "-C", str(project.root)),
        *("--store", str(store_path(options, project)), "--engine", engine_name(options)),
        *("freshroot", "answer", name, pin, str(os.getpid())),
    )


@freshroot.command("answer", hidden=True)
@click.argument("name")
@click.argument("pin")
@click.argument("parent", type=int)
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("into", type=click.Path(path_type=Path))
@click.pass_obj
def answer(options: Options, name: str, pin: str, parent: int, file: Path, into: Path) -> None:
    """Build what the emerge of a freshroot asks for: a process of that freshroot's desk."""
    die_with_parent(signal.SIGTERM)
    if os.getppid() != parent:
        raise ClocheError("its freshroot is gone", todo="use emerge in a freshroot")
    from cloche.cli.showing import Shown, opened_display
    from cloche.workflows import freshroot as roots
    from cloche.workflows.freshroot_building import build
    from cloche.workflows.freshroot_request import decode_request

    began = time.monotonic()
    project = load_project(options.directory)
    ground, request = roots.ground(project, name), decode_request(file.read_bytes())
    shown = Shown(opened_display("auto", verbose=False))
    with (
        terminable(),
        opened_session(options, project, sink=shown) as session,
        shown.work_of(session),
    ):
        result = build(session, ground, request, into, pin)
    took = seconds(time.monotonic() - began)
    say(f"{count(result.built, 'package')} built, {result.reused} reused, {took} in all")
