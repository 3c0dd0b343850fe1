"""`cloche`: the group of all commands, and the one place where errors become lines."""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
import traceback
from pathlib import Path

import click

from cloche import __version__
from cloche.cli.build import build
from cloche.cli.complete import complete_engine
from cloche.cli.ebuild import ebuild
from cloche.cli.engines import engines
from cloche.cli.graph import graph
from cloche.cli.history import history
from cloche.cli.init import completion, init
from cloche.cli.lock import fetch, lock
from cloche.cli.log import log
from cloche.cli.look import why
from cloche.cli.manifest import manifest
from cloche.cli.news import news_command
from cloche.cli.plan import plan
from cloche.cli.profile import profile
from cloche.cli.query import query
from cloche.cli.repo import repo
from cloche.cli.report import report
from cloche.cli.seed import seed
from cloche.cli.seed_add import add
from cloche.cli.shell import shell
from cloche.cli.store import store
from cloche.cli.watch import watch
from cloche.cli.workplace import ENGINE, STORE, Options, everywhere, say
from cloche.display.text import one_line
from cloche.errors import ClocheError, Exit, host_trouble

DEBUG = "CLOCHE_DEBUG"

EPILOG = """\b
Examples:
  cloche init my-machines && cd my-machines
  cloche seed bootstrap
  cloche build first
  cloche shell first -- greeting

\b
Exit status: 0 done, 1 a build failed, 2 bad input, 3 the host cannot do it,
130 interrupted.
"""


@click.group(epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="cloche")
@click.option(
    "-C",
    "--directory",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=".",
    help="Work as if started there.",
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

    Each package is built in a root that holds what it declares and nothing else, every input
    pinned, nothing of the host let in, nothing built twice.
    """
    context.obj = Options(directory.absolute(), store, engine)


seed.add_command(add)
COMMANDS = (
    init, seed, repo, profile, ebuild, manifest, plan, graph, lock, fetch, build, shell, log,
    report, history, news_command, why, query, watch, store, engines, completion
)  # fmt: skip
for command in COMMANDS:
    cli.add_command(command)
    everywhere(command)


def main() -> None:
    """Run the command line; every error with a known cause becomes one line."""
    try:
        cli.main(standalone_mode=False)
    except ClocheError as error:
        show(error)
        sys.exit(int(error.status))
    except click.Abort:
        _interrupted()
    except KeyboardInterrupt:
        _interrupted()
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # Whoever read our output went away: nothing is wrong. Keep the interpreter from
        # complaining when it flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(Exit.FAILED)
    except (OSError, sqlite3.Error) as error:
        show(host_trouble(error))
        _traceback()
        sys.exit(Exit.HOST)
    except Exception as error:
        say(f"cloche: {one_line(_bug(error))}")
        _traceback()
        sys.exit(Exit.FAILED)


def show(error: ClocheError) -> None:
    """Print an error: further lines first, then the one that says it all."""
    if error.detail:
        say(error.detail)
    say(f"cloche: {one_line(str(error))}")


def _bug(error: Exception) -> str:
    last = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{Path(last.filename).name}:{last.lineno}"
    return (
        f"{place}: a bug of cloche: {type(error).__name__}: {error}; "
        f"run it again with {DEBUG}=1 for the traceback, and report that"
    )


def _traceback() -> None:
    """The whole of it, for those who asked."""
    if os.environ.get(DEBUG):
        say(traceback.format_exc())


def _interrupted() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # nothing is left that it could stop
    say("cloche: interrupted; what was finished is kept, the next run goes on")
    sys.exit(Exit.INTERRUPTED)
