"""`cloche distcc`: compiles on other hosts, none of which is left for what is not its fault."""

from __future__ import annotations

from pathlib import Path

import click

from cloche.cli.options import say
from cloche.cli.usage import Group


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
