"""`cloche`: the group of all commands, and the one place where errors become lines."""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
import traceback
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from copy import copy
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from cloche.cli.complete import complete_engine
from cloche.cli.options import ENGINE, STORE, Options, everywhere, say, version_option
from cloche.cli.usage import Group, as_error
from cloche.display.text import one_line
from cloche.errors import FULL, ClocheError, Exit, host_trouble

DEBUG = "CLOCHE_DEBUG"

#: Each command with its module and its name there.
COMMANDS = {
    "audit": "audit:audit_command",
    "autogen": "autogen:autogen",
    "boot": "boot:boot",
    "build": "build:build",
    "catalyst": "catalyst:catalyst",
    "cluster": "cluster:cluster",
    "completion": "init:completion",
    "distcc": "distcc:distcc",
    "ebuild": "ebuild:ebuild",
    "engines": "engines:engines",
    "fetch": "lock:fetch",
    "freshroot": "freshroot:freshroot",
    "graph": "graph:graph",
    "history": "history:history",
    "import": "imports:import_group",
    "init": "init:init",
    "kernel": "kernel:kernel",
    "lock": "lock:lock",
    "log": "log:log",
    "machine": "machine:machine",
    "manifest": "manifest:manifest",
    "mkosi": "mkosi:mkosi",
    "news": "news:news_command",
    "outdated": "outdated:outdated",
    "overlay": "overlay:overlay",
    "patch": "patch:patch",
    "plan": "plan:plan",
    "profile": "profile:profile",
    "query": "query:query",
    "releng": "releng:releng",
    "repo": "repo:repo",
    "report": "report:report",
    "seed": "seed_add:seed",
    "serve": "serve:serve",
    "shell": "shell:shell",
    "store": "store:store",
    "try": "variant:try_",
    "watch": "watch:watch",
    "why": "why:why",
    "worker": "cluster:worker",
}

EPILOG = """\b
Examples:
  cloche init my-machines && cd my-machines
  cloche seed bootstrap
  cloche build first
  cloche shell first -- greeting

\b
Exit status: 0 done, 1 a build, a download or a check failed, 2 bad input,
3 the host cannot do it, 130 interrupted, 141 the output was closed (`| head`).
`shell` ends with its command's.
"""


class UnreadError(Exception):
    """The reader of the output is gone. Of a BrokenPipeError click makes a status of its own."""


@contextmanager
def _noticing_readers() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError as error:
        raise UnreadError from error


class Program(Group):
    """A program: its commands end quietly when nobody reads their output."""

    def make_context(self, *words: Any, **more: Any) -> click.Context:
        """Read the command line, which may print help. Raises UnreadError."""
        with _noticing_readers():
            return super().make_context(*words, **more)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command. Raises UnreadError."""
        with _noticing_readers():
            return super().invoke(ctx)


class Commands(Program):
    """The commands. Each is loaded on demand: loading all of them takes a fifth of a second."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of all commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name."""
        if cmd_name in COMMANDS and cmd_name not in self.commands:
            module, _, name = COMMANDS[cmd_name].partition(":")
            command: click.Command = getattr(import_module(f"cloche.cli.{module}"), name)
            everywhere(command)
            self.add_command(command)
        return super().get_command(ctx, cmd_name)


@click.group(cls=Commands, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@version_option("--version", program="cloche")
@click.option(
    "-C",
    "--directory",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=".",
    help="Run as if started in this directory.",
)
@click.option(
    "--store",
    type=click.Path(file_okay=False, readable=False, path_type=Path),
    help=STORE,
)
@click.option("--engine", help=ENGINE, shell_complete=complete_engine)
@click.pass_context
def cli(context: click.Context, directory: Path, store: Path | None, engine: str | None) -> None:
    """Build Gentoo packages, stages and images under glass.

    Each package is built in a root that holds only what it declares. Every input is pinned, nothing
    of the host is visible, and nothing is built twice.
    """
    context.obj = Options(directory.absolute(), store, engine)
    context.with_resource(chdir(directory))  # where paths of all options begin


def olm() -> click.Group:
    """`olm`: the commands of `cloche overlay` as a program."""
    group = cli.get_command(click.Context(cli), "overlay")
    assert isinstance(group, click.Group)  # noqa: S101 - one of our own
    commands = {name: copy(command) for name, command in group.commands.items()}
    program = Program(
        "olm",
        commands,
        help=group.help,
        epilog=group.epilog,
        params=cli.params,
        callback=cli.callback,
        context_settings=cli.context_settings,
    )
    for each in (program, *commands.values()):
        each.epilog = (each.epilog or "").replace("cloche overlay", "olm")
    return program


def main(program: str = "cloche") -> None:
    """Run the command line; every error with a known cause becomes one line."""
    try:
        command = olm() if program == "olm" else cli
        status = command.main(prog_name=program, standalone_mode=False)
        if isinstance(status, int):  # of `click.Context.exit`
            sys.exit(status)
    except ClocheError as error:
        show(error)
        sys.exit(int(error.status))
    except click.Abort:
        _interrupted()
    except KeyboardInterrupt:
        _interrupted()
    except click.ClickException as error:
        if isinstance(error, getattr(click.exceptions, "NoArgsIsHelpError", ())):
            error.show()  # a group without a command shows its help
        else:
            show(as_error(error))
        sys.exit(error.exit_code)
    except UnreadError:
        _nobody_reads()
    except (OSError, sqlite3.Error) as error:
        show(_output_full() if _is_output_full(error) else host_trouble(error))
        _traceback()
        sys.exit(Exit.HOST)
    except Exception as error:
        say(f"cloche: {one_line(_bug(error))}")
        _traceback()
        sys.exit(Exit.FAILED)


def show(error: ClocheError) -> None:
    """Print an error: the details first, then the one-line summary."""
    if error.detail:
        say(error.detail)
    say(f"cloche: {one_line(str(error))}")


def _nobody_reads() -> None:
    """End as coreutils do, which SIGPIPE ends; Python ignores the signal for the sake of sockets.

    The interpreter is kept from complaining when it flushes at exit.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.exit(Exit.UNREAD)


def _is_output_full(error: Exception) -> bool:
    """Whether standard output is what is full: its errors name no file, and come from click."""
    if not isinstance(error, OSError) or error.errno not in FULL or error.filename is not None:
        return False
    return traceback.extract_tb(error.__traceback__)[-1].filename == click.utils.__file__


def _output_full() -> ClocheError:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what is left is flushed at exit
    what = "standard output cannot be written: No space left on device"
    return ClocheError(what, todo="free some space there, or write it elsewhere", status=Exit.HOST)


def _bug(error: Exception) -> str:
    last = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{Path(last.filename).name}:{last.lineno}"
    return (
        f"{place}: a bug in cloche: {type(error).__name__}: {error}; "
        f"run it again with {DEBUG}=1 for a traceback, and report the bug"
    )


def _traceback() -> None:
    """Print the traceback where the environment asks for it."""
    if os.environ.get(DEBUG):
        say(traceback.format_exc())


def _interrupted() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # nothing is left to stop
    say("cloche: interrupted; finished work is kept, the next run continues")
    sys.exit(Exit.INTERRUPTED)
