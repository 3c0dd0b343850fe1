"""`cloche serve`: binary packages on demand for other machines."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cloche.cli.options import Options, engine_name, say, store_path
from cloche.cli.usage import Group, Number
from cloche.config.project import load_project
from cloche.display.text import one_line
from cloche.fetching.signing import opened_signer

if TYPE_CHECKING:
    from cloche.service.database import Database
    from cloche.service.settings import State

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
Function = Callable[..., Any]
STATE = click.option(
    "--state",
    "directory",
    type=click.Path(file_okay=False, path_type=Path),
    help="Directory of the service [PROJECT/service].",
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group(
    cls=Group,
    invoke_without_command=True,
    epilog="""\b
Examples:
  cloche serve token add --role request laptop
  cloche serve --host 0.0.0.0 --tls-cert cert.pem --tls-key key.pem
""",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option(
    "--port", type=Number(0, 65535), default=8080, show_default=True, help="Port; 0: any."
)
@STATE
@click.option("--tls-cert", type=FILE, help="Certificate (PEM), with those above it.")
@click.option("--tls-key", type=FILE, help="Its key.")
@click.option("--builds", type=Number(1), default=2, show_default=True, help="Builds at once.")
@click.option(
    "-j", "--jobs", type=Number(1), help="Packages to build at once, in all [number of cores]."
)
@click.option("--sign", metavar="KEY", help="Sign packages and indexes with this key of gpg.")
@click.option("--open-enrolment", is_flag=True, help="Let machines enrol without a token.")
@click.option("--keep-days", type=Number(1), default=30, show_default=True,
              help="Days for which packages and builds that nobody needs are kept.")  # fmt: skip
@click.option("--keep-size", type=Number(1), metavar="MIB", help="Size of the pool to stay below.")
@click.option("--accel", metavar="PREFIX", help="Let nginx send packages, by X-Accel-Redirect.")
@click.pass_context
def serve(context: click.Context, /, **values: Any) -> None:
    """Build packages for other machines, and be their binary package host (docs/service.md).

    A machine enrols with cloche-client, which the service also hands out, and asks for what it
    needs.
    """
    if context.invoked_subcommand is not None:
        return
    options: Options = context.obj
    _check_extra()
    from cloche.service.logs import to_stderr
    from cloche.service.serving import serve as run
    from cloche.service.settings import Retention, Settings
    from cloche.targets.results import Place

    project = load_project(options.directory)
    if (values["tls_cert"] is None) is not (values["tls_key"] is None):
        raise click.UsageError("--tls-cert and --tls-key need each other")
    proxies = {name: text for name, text in os.environ.items() if name.lower().endswith("_proxy")}
    room = values["keep_size"]
    settings = Settings(
        state=state_of(options, values["directory"]),
        place=Place(project.root, store_path(options, project), engine_name(options), proxies),
        host=values["host"],
        port=values["port"],
        builds=values["builds"],
        jobs=values["jobs"] or len(os.sched_getaffinity(0)),
        open_enrolment=values["open_enrolment"],
        tls_cert=_absolute(options, values["tls_cert"]),
        tls_key=_absolute(options, values["tls_key"]),
        accel=values["accel"],
        sign=values["sign"],
        retention=Retention(values["keep_days"], None if room is None else room << 20),
    )
    if settings.host not in ("127.0.0.1", "::1", "localhost") and settings.tls_cert is None:
        say("note: connections are not encrypted; see --tls-cert, or docs/service.md for a proxy")
    to_stderr("info")
    key = settings.sign
    with opened_signer(key) if key else nullcontext() as signer:
        run(settings, project, signer, say)


def _absolute(options: Options, path: Path | None) -> Path | None:
    return None if path is None else options.directory / path


def state_of(options: Options, directory: Path | None) -> State:
    """The state of the service: ``--state``, or in the project."""
    from cloche.service.settings import DIRECTORY, State

    if directory is not None:
        return State((options.directory / directory).absolute())
    return State(load_project(options.directory).root / DIRECTORY)


def _check_extra() -> None:
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
    """The database of the service, also while it runs."""
    from cloche.service.database import Database

    state = state_of(options, directory)
    state.make()
    database = Database(state.database)
    try:
        yield database
    finally:
        database.close()


@serve.group(
    cls=Group,
    epilog="""\b
Examples:
  cloche serve token add laptops
  cloche serve token list
  cloche serve token revoke 1f2e3d4c
""",
)
def token() -> None:
    """Tokens: who may use the service."""


@token.command(
    "add",
    epilog="""\b
Examples:
  cloche serve token add laptops --role request --quota 7200
  cloche serve token add me --role admin
""",
)
@click.argument("name")
@click.option(
    "--role",
    type=click.Choice(("read", "request", "admin")),
    default="request",
    show_default=True,
    help="read: see; request: also enrol and ask for packages; admin: see and do everything.",
)
@click.option("--target", metavar="ID", help="For this target alone.")
@click.option("--inject", is_flag=True, help="Let patches, bashrc and package.env of targets work.")
@click.option("--quota", type=Number(1), metavar="SECONDS", help="Seconds of building a day.")
@STATE
@JSON
@click.pass_obj
def token_add(
    options: Options, /, name: str, role: str, target: str | None, inject: bool,
    quota: int | None, directory: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Make a token and print it, this once. Only its digest is stored.

    A token with the role `request` lets machines enrol; each gets a token of its own.
    """
    from cloche.service.errors import unknown
    from cloche.service.tokens import digest_of, new_token
    from cloche.service.values import Role

    with opened_database(options, directory) as database:
        if target is not None and database.target(target) is None:
            raise unknown("target", target, "targets")
        made, secret = new_token(name, Role(role), target=target, inject=inject, quota=quota)
        database.add_token(made, digest_of(secret))
    if as_json:
        click.echo(json.dumps({"id": made.id, "token": secret}))
    else:
        click.echo(secret)


@token.command(
    "list",
    epilog="""\b
Examples:
  cloche serve token list
  cloche serve token list --json
""",
)
@STATE
@JSON
@click.pass_obj
def token_list(options: Options, /, directory: Path | None, as_json: bool) -> None:
    """List tokens, without their secrets."""
    import msgspec

    with opened_database(options, directory) as database:
        found = database.tokens()
    if as_json:
        click.echo(msgspec.json.encode(found).decode())
        return
    for each in found:
        state = "revoked" if each.revoked else "never used" if not each.used else "valid"
        parts = [each.id, str(each.role), state, each.name]
        parts += [f"target {each.target}"] if each.target else []
        parts += ["inject"] if each.inject else []
        parts += [f"{each.quota} s a day"] if each.quota else []
        click.echo(one_line("  ".join(parts)))


@token.command(
    "revoke",
    epilog="""\b
Examples:
  cloche serve token revoke 1f2e3d4c
""",
)
@click.argument("id")
@STATE
@click.pass_obj
def token_revoke(options: Options, /, id: str, directory: Path | None) -> None:
    """Revoke a token. It is refused from now on, in a running service, too."""
    from cloche.service.errors import unknown

    with opened_database(options, directory) as database:
        if not database.revoke(id, time.time()):
            raise unknown("valid token", id, "token list")


@serve.command(
    epilog="""\b
Examples:
  cloche serve targets
  cloche serve targets --json
"""
)
@STATE
@JSON
@click.pass_obj
def targets(options: Options, /, directory: Path | None, as_json: bool) -> None:
    """List enrolled targets."""
    import msgspec

    from cloche.service.views import target_view

    with opened_database(options, directory) as database:
        found = [
            target_view(
                each,
                packages=len(database.indexed(each)),
                proven=bool(database.seen(each.digest, each.level)),
            )
            for each in database.targets()
        ]
    if as_json:
        click.echo(msgspec.json.encode(found).decode())
        return
    for each in found:
        click.echo(
            one_line(f"{each.id}  {each.level}  {each.arch}  {each.packages} packages  {each.name}")
        )
