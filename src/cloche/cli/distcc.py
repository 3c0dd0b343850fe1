"""`cloche distcc`: compiles on other hosts, none of which is left for what is not its fault."""

from __future__ import annotations

import os
from pathlib import Path

import click

from cloche.cli.options import Options, engine_name, opened_store, say
from cloche.cli.usage import Group, Number


@click.group(
    cls=Group,
    epilog="""\b
Examples:
  cloche distcc install /usr/local/bin
  make CC="cloche-distcc gcc"
""",
)
def distcc() -> None:
    """Keep distcc's hosts in use (docs/distcc.md).

    distcc leaves a host alone for a minute when a compile fails there, also where it is the source
    that is wrong. The wrapper `cloche-distcc` lets it do so only if the compile then succeeds here.
    """


@distcc.command(
    epilog="""\b
Examples:
  cloche distcc install /usr/local/bin
  make CC="cloche-distcc gcc"
  cloche distcc install --links /usr/lib/distcc/bin
"""
)
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@click.option("--links", is_flag=True, help="Links named like each compiler that is on PATH, too.")
@click.option("--link", "names", multiple=True, metavar="NAME", help="A link of this name, too.")
@click.option("--cc", default="cc", show_default=True, help="The compiler for the wrapper itself.")
def install(directory: Path, links: bool, names: tuple[str, ...], cc: str) -> None:
    """Compile the wrapper `cloche-distcc` into DIR.

    With links, DIR can stand at the beginning of PATH: a call of `gcc` is distributed then. Links
    to distcc are replaced. Portage, with FEATURES=distcc, uses those in /usr/lib/distcc/bin.
    """
    from cloche.distcc.install import compilers
    from cloche.distcc.install import install as install_into

    for name in names:
        if name in (".", "..") or "/" in name or not name:
            raise click.BadParameter(f"'{name}' is not the name of a file", param_hint="--link")
    wanted = dict.fromkeys((*(compilers() if links else ()), *names))
    for path in install_into(directory, tuple(wanted), cc):
        say(f"{path} is written")


@distcc.command(
    epilog="""\b
Examples:
  cloche distcc source | cc -O2 -o cloche-distcc -x c -
"""
)
def source() -> None:
    """Print the wrapper, in C, to compile it elsewhere."""
    from cloche.distcc.install import source as text

    click.echo(text(), nl=False)


@distcc.command(
    epilog="""\b
Examples:
  cloche distcc serve                                # then [build] distcc = ["127.0.0.1"]
  cloche distcc serve --listen unix:/run/cloche-distcc
  cloche distcc serve --listen 192.0.2.7:3633 --jobs 8
"""
)
@click.option("--listen", metavar="PLACE", default="127.0.0.1:3633", show_default=True,
              help="HOST[:PORT], or unix:/PATH.")  # fmt: skip
@click.option("-j", "--jobs", type=Number(1), help="Compiles at once [number of cores].")
@click.pass_obj
def serve(options: Options, listen: str, jobs: int | None) -> None:
    """Compile for builds of other hosts (docs/distcc.md#compiles-of-builds).

    A project's `[build] distcc` names this host. Each compile runs in a sandbox of the layers that
    its build has; they must be in this host's store.
    """
    from cloche.broker import open_engine
    from cloche.cli.terminable import terminable
    from cloche.distcc.hosts import host_of
    from cloche.distcc.serving import Server, listening
    from cloche.session.opening import try_host

    host = host_of(listen)
    if host is None or (isinstance(host.place, tuple) and "/" in listen):
        raise click.BadParameter("neither HOST[:PORT] nor unix:/PATH", param_hint="--listen")
    place = host.place
    if isinstance(place, tuple) and place[0] not in ("127.0.0.1", "::1", "localhost"):
        say("note: who reaches this port can use this host's processors; see docs/distcc.md")
    number = jobs or len(os.sched_getaffinity(0))
    with (
        opened_store(options) as store,
        open_engine(engine_name(options)) as engine,
        listening(place) as listener,
        terminable(),
    ):
        try_host(store, engine)
        say(f"compiling for builds at {listen}, {number} at once")
        Server(store, engine, number, say).serve(listener)
