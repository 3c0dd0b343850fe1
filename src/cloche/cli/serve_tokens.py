"""`cloche serve token`: who may use the service."""

from __future__ import annotations

import json
import time
from pathlib import Path

import click
import msgspec

from cloche.cli.options import Options
from cloche.cli.serve_options import JSON, STATE, opened_database
from cloche.cli.usage import Group, Number
from cloche.display.text import one_line


@click.group(
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
    from cloche.service.values import Role, checked_name

    with opened_database(options, directory) as database:
        if target is not None and database.target(target) is None:
            raise unknown("target", target, "targets")
        made, secret = new_token(
            checked_name(name), Role(role), target=target, inject=inject, quota=quota
        )
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
