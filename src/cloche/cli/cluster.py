"""`cloche worker` and `cloche cluster`: more hosts."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cloche.cli.cluster_options import ADDRESS, ClusterChoice, tls_options
from cloche.cli.options import Options, engine_name, opened_store, say, store_path
from cloche.cli.usage import Number
from cloche.engines import choice
from cloche.errors import ClocheError

if TYPE_CHECKING:
    from cloche.cluster.units import Kind


@click.command(
    epilog="""\b
Examples:
  cloche worker --scheduler 192.0.2.1:8786
  cloche worker --scheduler build1:8786 --tls-ca ca.pem --tls-cert me.pem --tls-key me.key
  cloche worker --scheduler build1:8786 --print-unit systemd > cloche-worker.service
"""
)
@click.option("--scheduler", metavar=ADDRESS, required=True, help="Where `dask scheduler` listens.")
@click.option("--name", help="Name of this worker in messages [host name and process].")
@click.option("--cores", type=Number(1), help="Packages to build at once [number of cores].")
@click.option(
    "--registry",
    metavar="URL",
    help="OCI registry that keeps layers for all workers: https://HOST/NAME.",
)
@tls_options
@click.option(
    "--print-unit",
    type=click.Choice(["systemd", "openrc"]),
    help="Print a unit file or init script that runs this command, and exit.",
)
@click.pass_obj
def worker(
    options: Options,
    scheduler: str,
    name: str | None,
    cores: int | None,
    registry: str | None,
    tls_ca: Path | None,
    tls_cert: Path | None,
    tls_key: Path | None,
    print_unit: Kind | None,
) -> None:
    """Build packages for the plans of other hosts.

    The worker has a store of its own (`--store`), takes what it lacks from other hosts, and works
    until it is interrupted. When the scheduler goes away, it waits for the next one.
    """
    from cloche.cluster.security import exposed, full_address

    tls = ClusterChoice(scheduler, tls_ca, tls_cert, tls_key).tls
    tls.check()
    address = full_address(scheduler, tls)
    if print_unit is not None:
        from cloche.cluster.units import Unit, unit_text

        words = ("--scheduler", address, *tls.words())
        words += ("--name", name) if name else ()
        words += ("--cores", str(cores)) if cores else ()
        words += ("--registry", registry) if registry else ()
        chosen = engine_name(options)
        words += ("--engine", chosen) if chosen != choice.DEFAULT else ()
        named = options.store is not None or "CLOCHE_STORE" in os.environ
        unit = Unit("worker", words, store_path(options, None) if named else None)
        click.echo(unit_text(print_unit, unit), nl=False)
        return
    _check_extra()
    from cloche.broker import open_engine
    from cloche.cluster.registry import Registry
    from cloche.cluster.worker import Settings, serve
    from cloche.session.opening import try_host

    common = Registry(registry) if registry else None
    if common is not None:
        common.check()
    if exposed(address):
        say(f"note: {address} is neither encrypted nor authenticated; see `--tls-ca`")
    settings = Settings(
        address,
        tls,
        name or f"{socket.gethostname()}-{os.getpid()}",
        cores or len(os.sched_getaffinity(0)),
        common,
    )
    with opened_store(options, make=True) as store, open_engine(engine_name(options)) as engine:
        try_host(store, engine)
        serve(store, engine, settings, say)


def _check_extra() -> None:
    from cloche.cluster.errors import missing_extra

    try:
        import distributed  # noqa: F401
    except ImportError as error:
        raise missing_extra(error) from error


@click.group(
    epilog="""\b
Examples:
  cloche cluster up --workers 2
"""
)
def cluster() -> None:
    """Start a Dask cluster on this host."""


@cluster.command(
    epilog="""\b
Examples:
  cloche cluster up --workers 2
"""
)
@click.option("--workers", type=Number(1), default=2, help="How many workers to start [2].")
@click.option("--cores", type=Number(1), help="Cores of each worker [this host's, shared out].")
@click.option("--port", type=Number(1), default=8786, help="Port of the scheduler [8786].")
@click.option(
    "--host", default="127.0.0.1", help="Address to listen at [127.0.0.1: this host alone]."
)
@click.option(
    "--stores",
    type=click.Path(file_okay=False, path_type=Path),
    help="Directory of the workers' stores [STORE-workers].",
)
@tls_options
@click.pass_obj
def up(
    options: Options,
    workers: int,
    cores: int | None,
    port: int,
    host: str,
    stores: Path | None,
    tls_ca: Path | None,
    tls_cert: Path | None,
    tls_key: Path | None,
) -> None:
    """Start a scheduler and workers, and run them until Ctrl-C.

    Each worker has a store of its own, which the next `up` uses again.
    """
    _check_extra()
    from cloche.cli.options import project_or_none, store_path
    from cloche.cluster.local import Local, run

    tls = ClusterChoice(None, tls_ca, tls_cert, tls_key).tls
    tls.check()
    own = store_path(options, project_or_none(options))
    status = run(
        Local(
            workers=workers,
            cores=cores or max(1, len(os.sched_getaffinity(0)) // workers),
            host=host,
            port=port,
            stores=(stores or own.with_name(f"{own.name}-workers")).absolute(),
            engine=engine_name(options),
            tls=tls,
        ),
        say,
    )
    if status:
        raise ClocheError("the cluster ended", status=status)
