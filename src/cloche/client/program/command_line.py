"""The command line of cloche-client."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Callable

from cloche.client.program.description import LEVELS
from cloche.client.program.enrolling import describe, enrol, leave
from cloche.client.program.enrolment import CONFIG
from cloche.client.program.problem import PROGRAM, Problem
from cloche.client.program.refreshing import refresh
from cloche.client.program.text import shown
from cloche.client.program.wanting import status, want


def make_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog=PROGRAM, description="Binary packages for this machine from a cloche service.",
    )  # fmt: skip
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def add(run: Callable[[argparse.Namespace], int], *examples: str) -> argparse.ArgumentParser:
        text = run.__doc__ or ""
        command = commands.add_parser(
            run.__name__, help=text[0].lower() + text[1:].rstrip("."), description=text,
            epilog="\n".join(["examples:", *(f"  {each}" for each in examples)]),
            formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False,
        )  # fmt: skip
        command.set_defaults(run=run, words=[])
        command.add_argument("--json", action="store_true", help="write the result as JSON")
        command.add_argument("--config", type=Path, default=CONFIG, help=argparse.SUPPRESS)
        return command

    command = add(
        describe,
        f"{PROGRAM} describe | python3 -m json.tool | less",
        "ssh HOST python3 - describe < cloche-client",
    )
    add_savedconfig(command)
    command = add(
        enrol,
        f"{PROGRAM} enrol --server https://build.example.org --token-file token",
        f"{PROGRAM} enrol --server https://build.example.org --pretend",
    )
    command.add_argument("--server", required=True, metavar="URL", help="address of the service")
    command.add_argument(
        "--token-file",
        metavar="FILE",
        help="file with a token that allows to enrol, or a new one for this machine; - is standard "
        "input, the default is $CLOCHE_TOKEN, or a question",
    )
    command.add_argument("--name", help="the machine's name [its host name]")
    command.add_argument(
        "--allow-http", action="store_true", help="let http:// be used beyond this host"
    )
    command.add_argument("--level", choices=LEVELS, help="how well packages have to fit")
    command.add_argument("--priority", type=int, default=10, help="of the entry in binrepos.conf")
    command.add_argument("--ca", metavar="FILE", help="certificates to trust, in PEM")
    command.add_argument("--fingerprint", metavar="SHA256", help="of the service's certificate")
    add_savedconfig(command)
    command.add_argument("--again", action="store_true", help="as a new target")
    command.add_argument(
        "--drop-old-keys",
        action="store_true",
        help="no longer trust keys with which the service signed before",
    )
    add_pretend(command, "show what would be sent and written")
    command = add(leave, f"{PROGRAM} leave --pretend", f"{PROGRAM} leave")
    command.add_argument(
        "--local", action="store_true", help="only remove the files here: the service is gone"
    )
    add_pretend(command, "show what would be removed")
    command = add(refresh, f"{PROGRAM} refresh")
    command.add_argument("--whole", action="store_true", help="send everything")
    command = add(
        want,
        f"{PROGRAM} want app-editors/vim",
        f"{PROGRAM} want -e @world --update --deep --newuse",
    )
    command.usage = (
        f"{PROGRAM} want [-h] [--json] [--level LEVEL] [-e] ATOM|@SET… [OPTION OF EMERGE…]"
    )
    command.add_argument("--level", choices=LEVELS, help="how well packages have to fit")
    command.add_argument("-e", "--emerge", action="store_true", help="then install them")
    add(status, f"{PROGRAM} status", f"{PROGRAM} status --json")
    return parser


def add_pretend(command: argparse.ArgumentParser, text: str) -> None:
    """The option that only shows what would be done."""
    names = ("-p", "--pretend", "--dry-run")
    command.add_argument(*names, action="store_true", help=text)


def add_savedconfig(command: argparse.ArgumentParser) -> None:
    """The option that sends more of /etc/portage."""
    text = "also send /etc/portage/savedconfig"
    command.add_argument("--savedconfig", action="store_true", help=text)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return its exit status."""
    parser = make_parser()
    options, words = parser.parse_known_args(arguments)
    if words and options.run is not want:
        parser.error(f"unrecognized arguments: {' '.join(words)}")
    options.words = words
    return run_safely(options.run, options)


def run_safely(run: Callable[[Any], int], options: Any) -> int:
    """Run a command; return its exit status. What is wrong is one line."""
    try:
        return int(run(options))
    except Problem as problem:
        for line in problem.detail.rstrip().splitlines():
            print(shown(line.expandtabs()), file=sys.stderr)
        todo = f": {problem.todo}" if problem.todo else ""
        print(f"{PROGRAM}: {shown(problem.what)}{shown(todo)}", file=sys.stderr)
        return problem.status
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 141
    except OSError as error:
        print(f"{PROGRAM}: {shown(str(error))}", file=sys.stderr)
        return 3
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
