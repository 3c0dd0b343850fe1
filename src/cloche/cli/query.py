"""`cloche query`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, get_args

import click

from cloche.cli.complete import complete_machine, complete_package
from cloche.cli.options import (
    Options,
    check_machine,
    opened_store,
    project_or_none,
    say,
    unknown_word,
)
from cloche.cli.usage import Group
from cloche.config.project import Project
from cloche.display.elog import drawn
from cloche.display.text import count, one_line, size
from cloche.display.theme import theme_of
from cloche.errors import ClocheError
from cloche.output import inventory
from cloche.output.inventory import Inventory, Row
from cloche.plan.names import bare, matching
from cloche.records.builds import not_built
from cloche.records.elog import Level, Message
from cloche.store import Store

Function = Callable[..., Any]
PACKAGE: dict[str, Any] = {"shell_complete": complete_package}


def _command(name: str, examples: str, argument: str | None = None, **more: Any) -> Function:
    """A command of the group, with the options that all of them have."""
    epilog = "\b\nExamples:\n" + "\n".join(f"  cloche query {line}" for line in examples.split("|"))

    def decorate(function: Function) -> click.Command:
        function = click.pass_obj(function)
        function = click.option("--json", "as_json", is_flag=True, help="Print JSON.")(function)
        function = click.option(
            "-m", "--machine", shell_complete=complete_machine, help="Only this machine."
        )(function)
        if argument is not None:
            function = click.argument(argument, **more)(function)
        return query.command(name, epilog=epilog)(function)

    return decorate


@click.group(
    cls=Group,
    epilog="""\b
Examples:
  cloche query list
  cloche query files tmux -m workbench
  cloche query belongs /usr/bin/jq
  cloche query uses 'python_targets_*' --json
""",
)
def query() -> None:
    """Query the content of finished machines; nothing is built.

    Inside a project, the query covers its machines, elsewhere all machines of the store. ATOM, PATH
    and FLAG may contain wildcards: quote them.
    """


@_command(
    "files", "files jq|files 'dev-libs/*' -m workbench", "atom", shell_complete=complete_package
)
def files(options: Options, atom: str, machine: str | None, as_json: bool) -> None:
    """List the files of the package ATOM."""
    with _asked(options, machine) as (_, held):
        _known(atom, held)
        rows = [row for each in held for row in inventory.files(each, atom)]
    _tell(rows, as_json, lambda row: f"{row['path']}{'/' * (row['type'] == 'directory')}")


@_command("belongs", "belongs /usr/bin/jq|belongs '/usr/lib*/libz.so*'", "path")
def belongs(options: Options, path: str, machine: str | None, as_json: bool) -> None:
    """List the packages that own PATH, or whose hooks wrote it.

    Symbolic links in PATH are followed as in the machine.
    """
    with _asked(options, machine) as (_, held):
        rows = [row for each in held for row in inventory.belongs(each, path)]
    if not rows:
        raise ClocheError(
            f"no package owns “{path}”",
            todo="files of the seed are not searched; a path must begin with / or a wildcard",
        )
    how = {"owned": "", "written by a hook": " (written by a hook)"}
    _tell(rows, as_json, lambda row: f"{_cpv(row)}: {row['path']}{how[row['how']]}")


@_command("uses", "uses nls|uses 'python_targets_*' --json", "flag")
def uses(options: Options, flag: str, machine: str | None, as_json: bool) -> None:
    """List the packages that have the USE flag FLAG: + enabled, - disabled."""
    with _asked(options, machine) as (_, held):
        rows = [row for each in held for row in inventory.uses(each, flag)]
    if not rows:
        raise ClocheError(f"no package has a USE flag “{flag}”", todo="see `cloche plan MACHINE`")
    _tell(rows, as_json, lambda row: f"{'+' if row['enabled'] else '-'}{row['flag']} {_cpv(row)}")


@_command(
    "depends", "depends zlib|depends 'dev-libs/*' --json", "atom", shell_complete=complete_package
)
def depends(options: Options, atom: str, machine: str | None, as_json: bool) -> None:
    """List the packages that depend on ATOM, including those only needed for building."""
    with _asked(options, machine) as (_, held):
        _known(atom, held)
        rows = [row for each in held for row in inventory.depends(each, atom)]

    def line(row: Row) -> str:
        only = "" if row["member"] else "  (for building only)"
        return f"{_cpv(row)} needs {row['atom']} ({', '.join(row['kinds'])}){only}"

    if not rows and not as_json:
        say(f"no package depends on “{atom}”")
    _tell(rows, as_json, line)


@_command("list", "list|list 'dev-*/*'|list --json -m workbench", "atom", required=False, **PACKAGE)
def list_(options: Options, atom: str | None, machine: str | None, as_json: bool) -> None:
    """List the packages of machines, or those that match ATOM."""
    with _asked(options, machine) as (_, held):
        _known(atom, held)
        rows = [row for each in held for row in inventory.listed(each, atom)]
    _tell(rows, as_json, lambda row: f"{row['package']}")


@_command("elog", "elog|elog tmux|elog -m workbench --json", "atom", required=False, **PACKAGE)
def elog(options: Options, atom: str | None, machine: str | None, as_json: bool) -> None:
    """Show the messages of ebuilds (elog, ewarn, eerror, eqawarn) in machines.

    These are the messages of the steps that made what is installed, however long ago.
    """
    with _asked(options, machine) as (store, held):
        _known(atom, held)
        rows = [row for each in held for row in inventory.messages(store, each, atom)]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    if not rows:
        say("no messages of ebuilds are recorded")
    said = [(row["package"], Message(row["phase"], row["level"], row["lines"])) for row in rows]
    for line in drawn(said, theme_of(sys.stdout), get_args(Level)):
        click.echo(line)


@_command("size", "size|size tmux|size --json -m workbench", "atom", required=False, **PACKAGE)
def size_(options: Options, atom: str | None, machine: str | None, as_json: bool) -> None:
    """Show the size of packages in machines, largest first."""
    with _asked(options, machine) as (store, held):
        _known(atom, held)
        rows = [row for each in held for row in inventory.sizes(store, each, atom)]
    _tell(
        rows,
        as_json,
        lambda row: f"{size(row['size']):>10}  {count(row['files'], 'file'):>11}  {_cpv(row)}",
    )


@contextmanager
def _asked(options: Options, machine: str | None) -> Iterator[tuple[Store, Sequence[Inventory]]]:
    """The store and the machines to query. Raises ClocheError if there are none."""
    project = project_or_none(options)
    with opened_store(options, project) as store:
        place = project.place if project is not None else None
        held = inventory.inventories(store, place, machine)
        if not held:
            if machine is not None:
                _check_known(store, project, machine)
            what = f"machine {machine}" if machine else "every machine"
            raise not_built(what, f"cloche build {machine or 'MACHINE'}")
        yield store, held


def _check_known(store: Store, project: Project | None, machine: str) -> None:
    """See that the project, or outside of one the store, has this machine. Raises ConfigError."""
    if project is not None:
        check_machine(machine, project.machines, project.root / "machines")
    else:
        held = inventory.inventories(store, None, None)
        check_machine(machine, (each.machine for each in held), store.path)


def _known(atom: str | None, held: Sequence[Inventory]) -> None:
    names = inventory.known(held)
    if atom is not None and not matching(atom, names):
        raise unknown_word(atom, names)


def _tell(rows: Sequence[Row], as_json: bool, line: Callable[[Row], str]) -> None:
    """Print JSON, or a line for each row; with several machines, below the name of each."""
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    several = len({row["machine"] for row in rows}) > 1
    last = None
    for row in rows:
        if several and row["machine"] != last:
            click.echo(f"{row['machine']}:")
            last = row["machine"]
        click.echo(("  " if several else "") + one_line(line(row)))


def _cpv(row: Row) -> str:
    return bare(str(row["package"]))
