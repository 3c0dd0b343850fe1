"""The options of all commands, and what they open: the store, a session."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from cloche.cli.complete import complete_engine
from cloche.display.text import visible
from cloche.engines import choice
from cloche.errors import ClocheError

if TYPE_CHECKING:  # what opens nothing is to load nothing of it
    from cloche.building.context import RunTask
    from cloche.config.project import Project
    from cloche.records.events import Event, Sink
    from cloche.session.session import Session
    from cloche.store import Store

STORE = "Directory of the store [default: $CLOCHE_STORE, the project's, ~/.local/share/cloche]."
LOGS = "machine/"  # what the logs of machines are called
ENGINE = f"Sandbox engine: {', '.join(choice.NAMES)} [default: $CLOCHE_ENGINE, native]."


Function = TypeVar("Function", bound=Callable[..., object])


@dataclass(frozen=True, slots=True)
class Options:
    """Options of all commands; all but the first may also follow the name of the command."""

    directory: Path
    store: Path | None
    engine: str | None = None


def everywhere(command: click.Command) -> None:
    """Let a command and its subcommands take ``--store`` and ``--engine`` after the name, too."""
    if isinstance(command, click.Group):
        for each in command.commands.values():
            everywhere(each)
        return
    kind = click.Path(file_okay=False, readable=False, path_type=Path)
    command.params += [
        click.Option(["--store"], type=kind, help=STORE, expose_value=False, callback=_use_store),
        click.Option(
            ["--engine"],
            help=ENGINE,
            shell_complete=complete_engine,
            expose_value=False,
            callback=_use_engine,
        ),
    ]


def _use_store(context: click.Context, _: click.Parameter, store: Path | None) -> None:
    if store is not None and isinstance(context.obj, Options):
        context.obj = replace(context.obj, store=store)


def _use_engine(context: click.Context, _: click.Parameter, engine: str | None) -> None:
    if engine is not None and isinstance(context.obj, Options):
        context.obj = replace(context.obj, engine=engine)


def version_option(*names: str, program: str) -> Callable[[Function], Function]:
    """An option that shows the version of a program and exits. Only then does git run."""

    def show(context: click.Context, _: click.Parameter, wanted: bool) -> None:
        if wanted and not context.resilient_parsing:
            from cloche.version import version

            click.echo(f"{program}, version {version()}")
            context.exit()

    help_text = "Show the version and exit."
    return click.option(
        *names, is_flag=True, expose_value=False, is_eager=True, callback=show, help=help_text
    )


def store_path(options: Options, project: Project | None, data: Path | None = None) -> Path:
    """``--store``, ``$CLOCHE_STORE``, the project's own, or in the user's data directory (XDG).

    ``data`` is that of another user.
    """
    from cloche.session.opening import place_of_store

    if options.store is not None:
        return options.store.absolute()
    if named := os.environ.get("CLOCHE_STORE"):
        return Path(named).absolute()
    own = os.environ.get("XDG_DATA_HOME")
    return place_of_store(project, data or (Path(own).expanduser() if own else None))


def project_or_none(options: Options) -> Project | None:
    """The project around the current directory, for commands that do not need one.

    Raises `ConfigError` if ``cloche.toml`` is invalid: otherwise the command would use the host's
    repositories, or another store.
    """
    from cloche.config.project import NoProjectError, load_project

    try:
        return load_project(options.directory)
    except NoProjectError:
        return None


@contextmanager
def opened_store(
    options: Options, project: Project | None = None, *, make: bool = False
) -> Iterator[Store]:
    """The store, opened inside cloche's user namespace.

    Only with ``make`` is it made where there is none. Raises ClocheError.
    """
    from cloche.session.opening import open_store

    path = store_path(options, project or project_or_none(options))
    if not make:
        check_store(path)
    with open_store(path, waiting=say) as store:
        yield store


def check_store(path: Path) -> None:
    """See that something is there: to look at a misspelt store must not make one.

    Raises ClocheError.
    """
    try:
        there = any(path.iterdir())
    except FileNotFoundError:
        there = False
    except OSError:  # opening it gives the reason
        there = True
    if not there:
        raise ClocheError(
            "store not found",
            where=path,
            todo="name another with --store; `cloche seed bootstrap` or `build` makes one",
        )


def check_machine(name: str, known: Iterable[str], where: Path) -> None:
    """See that a machine is one of a project or a store, ``where``. Raises ConfigError."""
    from cloche.config.errors import Origin, unknown_name

    machines = sorted(set(known))
    if name not in machines:
        raise unknown_name(Origin(where), "machine", name, machines)


def unknown_word(word: str, packages: Iterable[str], project: Project | None = None) -> ClocheError:
    """The error for a word that means no package and no machine, with similar ones of both.

    Logs of machines are named as packages are.
    """
    from cloche.config.errors import nearest as nearest_name
    from cloche.plan.names import nearest
    from cloche.records.builds import unknown_package

    names = list(packages)
    machines = {name.removeprefix(LOGS) for name in names if name.startswith(LOGS)}
    machines |= set(project.machines) if project is not None else set()
    close = nearest_name(word.removeprefix(LOGS), machines)
    of_packages = [name for name in names if not name.startswith((LOGS, "repository/"))]
    found = [close] if close else []
    return unknown_package(word, [*found, *nearest(word, of_packages)])


def engine_name(options: Options) -> str:
    """``--engine``, ``$CLOCHE_ENGINE``, or the default."""
    return options.engine or os.environ.get("CLOCHE_ENGINE") or choice.DEFAULT


@contextmanager
def opened_session(
    options: Options,
    project: Project,
    *machines: str,
    sink: Sink | None = None,
    elsewhere: RunTask | None = None,
) -> Iterator[Session]:
    """The project with its store and engine. ``sink`` gets the events; by default only warnings
    and the progress of long stages are printed. ``elsewhere`` carries out the tasks of packages.

    An unknown name among ``machines`` is an error before anything is opened.
    """
    from cloche.session.session import open_session

    for name in machines:
        project.machine(name)
    with open_session(
        project,
        store=store_path(options, project),
        engine=engine_name(options),
        sink=sink or telling_of_long_stages(),
        proxies=os.environ,
        elsewhere=elsewhere,
        waiting=say,
    ) as session:
        if session.engine.nature.caution:
            say(f"note: {session.engine.nature.caution}")
        yield session


def telling_of_long_stages() -> Sink:
    """A sink for commands that show only a result: long stages report each quarter.

    If several machines report equal notes, only the first is shown.
    """
    from cloche.records.events import Note, Progress

    said: dict[str, int] = {}
    noted: set[str] = set()

    def sink(event: Event) -> None:
        if isinstance(event, Note) and event.text not in noted:
            noted.add(event.text)
            say(f"warning: {event.text}" if event.level == "warning" else event.text)
        if isinstance(event, Progress):
            quarter = 4 * event.done // max(1, event.of)
            if quarter > said.get(event.stage, -1):
                said[event.stage] = quarter
                say(f"{event.stage}: {event.done} of {event.of}")

    return sink


def say(text: str = "") -> None:
    """Print a line for people to standard error; standard output is for programs."""
    sys.stderr.write(visible(text) + "\n")
