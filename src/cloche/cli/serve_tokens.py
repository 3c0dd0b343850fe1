"""`cloche serve token`: who may use the service."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from cloche.cli.options import Options, say
from cloche.cli.serve_options import JSON, LARGEST_QUOTA, STATE, opened_database
from cloche.cli.usage import Group, Number
from cloche.display.text import count, one_line

if TYPE_CHECKING:
    from cloche.service.values import Token

_DAY = 86400.0


@click.group(
    cls=Group,
    epilog="""\b
Examples:
  cloche serve token add laptops
  cloche serve token list
  cloche serve token change 1f2e3d4c --quota 7200
  cloche serve token revoke 1f2e3d4c --with-targets --pretend
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
  cloche serve token add larry --target 1f2e3d4c5b6a
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
@click.option("--target", metavar="ID", help="For this target alone; it can replace a lost one.")
@click.option("--inject", is_flag=True, help="Let patches, bashrc and package.env of targets work.")
@click.option("--quota", type=Number(1, LARGEST_QUOTA), metavar="SECONDS",
              help="Seconds of building a day [no limit].")  # fmt: skip
@STATE
@JSON
@click.pass_obj
def token_add(
    options: Options, /, name: str, role: str, target: str | None, inject: bool,
    quota: int | None, directory: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Make a token and print it, this once. Only its digest is stored.

    A token with the role `request` lets machines enrol; each gets a token of its own. One more for
    such a machine, by --target, shares the quota of the token that enrolled it.
    """
    from cloche.service.accounts import add_token
    from cloche.service.values import Role, checked_name

    with opened_database(options, directory) as database:
        made, secret = add_token(
            database, checked_name(name), Role(role), target=target, inject=inject, quota=quota
        )
        others = [
            each for each in database.tokens() if target is not None and each.target == target
        ]
    if not inject and any(each.inject for each in others):
        say("note: another token of the target has the permission that --inject gives")
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
    """List tokens, without their secrets, with what was built with them in the last 24 hours."""
    with opened_database(options, directory) as database:
        found, used = database.tokens(), database.charged(time.time() - _DAY)
        charged = {each.id: used.get(each.payer.account, 0.0) for each in found}
    if as_json:
        rows = [{**msgspec.to_builtins(each), "charged": charged[each.id]} for each in found]
        click.echo(json.dumps(rows))
        return
    names = {each.id: each.name for each in found}
    for each in found:
        click.echo(one_line("  ".join(_words_of(each, charged[each.id], names))))


def _words_of(token: Token, charged: float, names: Mapping[str, str]) -> Iterator[str]:
    """What a line of the list says."""
    yield token.id
    yield str(token.role)
    yield "revoked" if token.revoked else "valid" if token.used else "never used"
    yield token.name
    if token.target:
        yield f"target {token.target}"
    if token.account and token.account in names:
        yield f"enrolled with {names[token.account]} ({token.account})"
    elif token.account:
        yield f"enrolled without a token, from {token.account.removeprefix('open ')}"
    if token.inject:
        yield "inject"
    if token.quota is not None:
        yield f"{charged:.0f} of {token.quota} s a day"
    elif charged:
        yield f"{charged:.0f} s today"


@token.command(
    "change",
    epilog="""\b
Examples:
  cloche serve token change 1f2e3d4c --quota 7200
  cloche serve token change 1f2e3d4c --no-quota
""",
)
@click.argument("id")
@click.option("--quota", type=Number(1, LARGEST_QUOTA), metavar="SECONDS",
              help="Seconds of building a day.")  # fmt: skip
@click.option("--no-quota", is_flag=True, help="Without a limit.")
@STATE
@click.pass_obj
def token_change(
    options: Options, /, id: str, quota: int | None, no_quota: bool, directory: Path | None
) -> None:
    """Give a token another quota, and all that share it: targets with the token that enrolled them.

    It counts at once, in a running service, too.
    """
    from cloche.service.accounts import account_of

    if (quota is None) is not no_quota:
        raise click.UsageError("give either --quota or --no-quota")
    with opened_database(options, directory) as database:
        account = account_of(database, id).token.payer.account
        database.set_quota(account, quota)
        others = sum(each.payer.account == account for each in database.tokens()) - 1
    what = "no quota" if quota is None else f"a quota of {quota} s of building a day"
    shared = f", shared with {count(others, 'other token')}" if others else ""
    say(f"{id} has {what}{shared}")


@token.command(
    "revoke",
    epilog="""\b
Examples:
  cloche serve token revoke 1f2e3d4c
  cloche serve token revoke 1f2e3d4c --with-targets --pretend
""",
)
@click.argument("id")
@click.option(
    "--with-targets", is_flag=True, help="Also the tokens of the targets that it enrolled."
)
@click.option("-p", "--pretend", "--dry-run", is_flag=True, help="Only show what would be revoked.")
@STATE
@JSON
@click.pass_obj
def token_revoke(
    options: Options, /, id: str, with_targets: bool, pretend: bool, directory: Path | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Revoke a token. It is refused from now on, in a running service, too.

    The targets that it enrolled stay, and so do their tokens without --with-targets. One that was
    revoked before may be named again with it.
    """
    from cloche.service import accounts

    with opened_database(options, directory) as database:
        account = accounts.account_of(database, id)
        found = accounts.revocable(account, with_targets=with_targets)
        if not pretend:
            accounts.revoke(database, account, time.time(), with_targets=with_targets)
    if as_json:
        click.echo(json.dumps({"tokens": [each.id for each in found], "revoked": not pretend}))
        return
    for each in found:
        click.echo(one_line("  ".join((each.id, each.name))))
    say(f"{count(len(found), 'token')} {'would be revoked' if pretend else 'revoked'}")
    if account.tokens and not with_targets:
        left = count(len(account.tokens), "token")
        say(f"note: {left} of targets that it enrolled stay valid; see --with-targets")
