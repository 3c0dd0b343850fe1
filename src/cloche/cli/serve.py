"""`cloche serve`: binary packages on demand for other machines."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec
from click.core import ParameterSource

from cloche.cli import serve_targets, serve_tokens
from cloche.cli.cluster_options import ADDRESS, Percent
from cloche.cli.options import Options, engine_name, say, store_path
from cloche.cli.serve_options import (
    JSON,
    LARGEST_QUOTA,
    STATE,
    check_extra,
    opened_database,
    state_of,
)
from cloche.cli.usage import Group, Number, refuse_unused
from cloche.config.project import load_project
from cloche.display.text import count, size
from cloche.engines import choice
from cloche.fetching.signing import opened_signer

if TYPE_CHECKING:
    from cloche.cluster.connection import Settings as Cluster

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
Function = Callable[..., Any]
_KEPT = re.compile(r"(?i:https?|ftp|all|no)_proxy|GNUPGHOME")  # variables that a unit sets, too


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
@click.option("--open-quota", type=Number(0, LARGEST_QUOTA), default=3600, show_default=True,
              metavar="SECONDS",
              help="Building a day of each address that enrols so; 0: no limit.")  # fmt: skip
@click.option("--keep-days", type=Number(1), default=30, show_default=True,
              help="Days for which packages and builds that nobody needs are kept.")  # fmt: skip
@click.option("--keep-size", type=Number(1), metavar="MIB", help="Size of the pool to stay below.")
@click.option("--limit", "limits", multiple=True, metavar="NAME=NUMBER",
              help="A limit of clients, e.g. queued=20; see docs/service.md.")  # fmt: skip
@click.option("--accel", metavar="PREFIX", help="Let nginx send packages, by X-Accel-Redirect.")
@click.option("--cluster", metavar=ADDRESS, help="Let the workers of this Dask scheduler build.")
@click.option("--cluster-ca", type=FILE, envvar="CLOCHE_TLS_CA",
              help="Certificate of the cluster's authority. [$CLOCHE_TLS_CA]")  # fmt: skip
@click.option("--cluster-cert", type=FILE, envvar="CLOCHE_TLS_CERT",
              help="This host's certificate, for the cluster. [$CLOCHE_TLS_CERT]")  # fmt: skip
@click.option("--cluster-key", type=FILE, envvar="CLOCHE_TLS_KEY",
              help="Its key. [$CLOCHE_TLS_KEY]")  # fmt: skip
@click.option("--verify-share", type=Percent(), default=0.0, metavar="PERCENT",
              help="With --cluster: build this share twice, and compare.")  # fmt: skip
@click.option("--print", "printed", type=click.Choice(("systemd", "openrc")),
              help="Print a unit file or an init script for this command, and exit.")  # fmt: skip
@click.option("--user", help="Who runs the service, in such a file [the owner of the project].")
@click.option("--install", is_flag=True, help="Write the unit file or init script, and exit.")
@click.pass_context
def serve(context: click.Context, /, **values: Any) -> None:
    """Build packages for other machines, and be their binary package host (docs/service.md).

    A machine enrols with cloche-client, which the service also hands out, and asks for what it
    needs.
    """
    if context.invoked_subcommand is not None:
        refuse_unused(context, "directory")
        return
    options: Options = context.obj
    if values["printed"] or values["install"]:
        _unit(context, options, values)
        return
    check_extra()
    from cloche.service.logs import to_stderr
    from cloche.service.serving import serve as run
    from cloche.service.settings import Retention, Settings, limits_of
    from cloche.targets.results import Place

    project = load_project(options.directory)
    if values["verify_share"] and values["cluster"] is None:
        raise click.UsageError("--verify-share needs --cluster")
    given = context.get_parameter_source("open_quota") is ParameterSource.COMMANDLINE
    if given and not values["open_enrolment"]:
        raise click.UsageError("--open-quota needs --open-enrolment")
    if (values["tls_cert"] is None) is not (values["tls_key"] is None):
        raise click.UsageError("--tls-cert and --tls-key need each other")
    proxies = {name: text for name, text in os.environ.items() if name.lower().endswith("_proxy")}
    room = values["keep_size"]
    settings = Settings(
        state=state_of(options, values["directory"]),
        place=Place(
            project.root,
            store_path(options, project),
            engine_name(options),
            proxies,
            cluster=_cluster(context, options, values),
            verified=values["verify_share"] / 100,
        ),
        host=values["host"],
        port=values["port"],
        builds=values["builds"],
        jobs=values["jobs"] or len(os.sched_getaffinity(0)),
        open_enrolment=values["open_enrolment"],
        open_quota=values["open_quota"] or None,
        tls_cert=_absolute(options, values["tls_cert"]),
        tls_key=_absolute(options, values["tls_key"]),
        accel=values["accel"],
        limits=limits_of(values["limits"]),
        sign=values["sign"],
        retention=Retention(values["keep_days"], None if room is None else room << 20),
    )
    if settings.host not in ("127.0.0.1", "::1", "localhost") and settings.tls_cert is None:
        say("note: connections are not encrypted; see --tls-cert, or docs/service.md for a proxy")
    to_stderr("info")
    key = settings.sign
    with opened_signer(key) if key else nullcontext() as signer:
        run(settings, project, signer, say)


def _unit(context: click.Context, options: Options, values: dict[str, Any]) -> None:
    """Print or write the unit file or init script of this command line."""
    from cloche.service.install import Setup, data_of, install, owner_of, text

    project = load_project(options.directory)
    user = values["user"] or owner_of(project.root)
    setup = Setup(
        project.root,
        store_path(options, project, data_of(user)),
        tuple(_given(context, options, values)),
        user,
        {name: text for name, text in os.environ.items() if _KEPT.fullmatch(name)},
        values["port"],
    )
    if values["printed"]:
        click.echo(text(values["printed"], setup), nl=False)
        return
    done = install(None, setup)
    say(f"{done.path} is written; start it: {done.command}")


def _given(context: click.Context, options: Options, values: dict[str, Any]) -> Iterator[str]:
    """The options of a command line and of the environment, with absolute paths."""
    sources = (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT)
    for option in context.command.params:
        name, value = option.name or "", values.get(option.name or "")
        given = context.get_parameter_source(name) in sources
        if not given or name in ("printed", "install", "user") or value is None:
            continue
        for each in value if isinstance(value, tuple) else (value,):
            yield max(option.opts, key=len)
            if not isinstance(each, bool):
                yield str(_absolute(options, each) if isinstance(each, Path) else each)
    if (engine := engine_name(options)) != choice.DEFAULT:
        yield from ("--engine", engine)


def _cluster(context: click.Context, options: Options, values: dict[str, Any]) -> Cluster | None:
    """How workers of a cluster are reached, if there is one."""
    files = {f"cluster_{each}": values[f"cluster_{each}"] for each in ("ca", "cert", "key")}
    if values["cluster"] is None:
        if any(context.get_parameter_source(n) is ParameterSource.COMMANDLINE for n in files):
            raise click.UsageError("--cluster-ca, --cluster-cert and --cluster-key need --cluster")
        return None
    from cloche.cluster.connection import Settings as Cluster
    from cloche.cluster.security import Tls, exposed, full_address

    ca, cert, key = (_absolute(options, each) for each in files.values())
    tls = Tls(ca, cert, key, "--cluster")
    tls.check()
    address = full_address(values["cluster"], tls)
    if exposed(address):
        say(f"note: {address} is neither encrypted nor authenticated; see `--cluster-ca`")
    return Cluster(address, tls, options.engine)


def _absolute(options: Options, path: Path | None) -> Path | None:
    return None if path is None else options.directory / path


@serve.command(
    epilog="""\b
Examples:
  cloche serve plan
  cloche serve plan app-editors/vim
"""
)
@click.argument("atoms", nargs=-1)
@STATE
@JSON
@click.pass_obj
def plan(
    options: Options, /, atoms: tuple[str, ...], directory: Path | None, as_json: bool
) -> None:
    """Show what each level would cost for all targets: environments, builds, bytes.

    ATOMS are what the targets ask for [what each asked for lately, or @world].
    """
    check_extra()
    from cloche.service.plan import costs_of
    from cloche.service.views import cost_view
    from cloche.targets.levels import DEFAULT, WHY_DEFAULT
    from cloche.targets.results import Place

    project = load_project(options.directory)
    place = Place(project.root, store_path(options, project), engine_name(options))
    with opened_database(options, directory) as database:
        found = costs_of(database, state_of(options, directory), place, atoms)
    if as_json:
        rows = [msgspec.to_builtins(cost_view(each)) for each in found]
        click.echo(json.dumps({"levels": rows, "default": DEFAULT, "reason": WHY_DEFAULT}))
        return
    click.echo(
        f"{'level':6}{'environments':>13}{'builds':>8}{'ready':>7}{'size':>10}  what is equal"
    )
    for each in found:
        numbers = f"{each.environments:>13}{each.builds:>8}{each.ready:>7}{size(each.bytes):>10}"
        click.echo(f"{each.level:6}{numbers}  {each.level.meaning}")
    click.echo(f"The default is {DEFAULT}: {WHY_DEFAULT}.")


@serve.command(
    epilog="""\b
Examples:
  cloche serve prune --dry-run
  cloche serve prune --keep-days 7 --keep-size 20000
"""
)
@click.option("--keep-days", type=Number(0), default=30, show_default=True,
              help="Days for which packages and builds that nobody needs are kept.")  # fmt: skip
@click.option("--keep-size", type=Number(0), metavar="MIB", help="Size of the pool to stay below.")
@click.option("-n", "--dry-run", is_flag=True, help="Only show what would be removed.")
@STATE
@JSON
@click.pass_obj
def prune(
    options: Options, /, keep_days: int, keep_size: int | None, dry_run: bool,
    directory: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Remove packages and builds that no target needs.

    What is offered to an enrolled target stays. A running service does the same every hour.
    """
    from cloche.service import retention
    from cloche.service.settings import Retention

    room = None if keep_size is None else keep_size << 20
    with opened_database(options, directory) as database:
        found = retention.find(database, Retention(keep_days, room))
        if not dry_run:
            retention.remove(database, state_of(options, directory), found)
    names = [each.path for each in found.packages]
    if as_json:
        data = {"packages": names, "builds": [each.id for each in found.builds]}
        click.echo(json.dumps({**data, "bytes": found.size, "removed": not dry_run}))
        return
    for name in names:
        click.echo(name)
    would = "would be removed" if dry_run else "removed"
    what = f"{count(len(names), 'package')} ({size(found.size)})"
    say(f"{what} and {count(len(found.builds), 'build')} {would}")


serve.add_command(serve_tokens.token)
serve.add_command(serve_targets.targets)
serve.add_command(serve_targets.target)
