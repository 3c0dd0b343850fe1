"""What the commands of `cloche serve` share: the directory of the service, its database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cloche.cli.options import Options
from cloche.config.project import load_project

if TYPE_CHECKING:
    from cloche.service.database import Database
    from cloche.service.settings import State

LARGEST_QUOTA = 999_999_999  # seconds, as `cloche.service.tokens` has it
_STATE = "cloche.serve.state"


def _given_state(context: click.Context, _: click.Parameter, given: Path | None) -> Path | None:
    """``--state``, which counts before the name of a subcommand, too."""
    if given is not None:
        context.meta[_STATE] = given
    found: Path | None = context.meta.get(_STATE)
    return found


STATE = click.option(
    "--state",
    "directory",
    type=click.Path(file_okay=False, path_type=Path),
    callback=_given_state,
    help="Directory of the service [PROJECT/service].",
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def state_of(options: Options, directory: Path | None) -> State:
    """The state of the service: ``--state``, or in the project."""
    from cloche.service.settings import DIRECTORY, State

    if directory is not None:
        return State((options.directory / directory).absolute())
    return State(load_project(options.directory).root / DIRECTORY)


def check_extra() -> None:
    """See that what the extra `serve` brings is installed. Raises ServiceError."""
    from cloche.service.errors import missing_extra

    try:
        import fastapi  # noqa: F401
        import jinja2  # noqa: F401
        import prometheus_client  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise missing_extra(error) from error


@contextmanager
def opened_database(options: Options, directory: Path | None) -> Iterator[Database]:
    """The database of the service, also while it runs. Raises ServiceError.

    An older one is brought to this format, unless a service runs: that would be an older one, too.
    """
    from cloche.service.database import Database
    from cloche.service.files import locked
    from cloche.service.sqlite import is_older

    state = state_of(options, directory)
    state.make()
    if is_older(state.database):
        with locked(state.lock) as held:
            Database(state.database, alone=held).close()
    database = Database(state.database)
    try:
        yield database
    finally:
        database.close()
