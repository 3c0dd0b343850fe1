"""The options of commands that use a cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cloche.cli.options import Options, say

if TYPE_CHECKING:  # few commands need it
    from cloche.cluster.cluster import Cluster
    from cloche.cluster.security import Tls

Function = Callable[..., Any]
_FILE = click.Path(dir_okay=False, path_type=Path)
ADDRESS = "HOST:PORT"


@dataclass(frozen=True, slots=True)
class ClusterChoice:
    """What was chosen: the scheduler's address, and files of TLS."""

    address: str | None
    ca: Path | None
    cert: Path | None
    key: Path | None

    @property
    def tls(self) -> Tls:
        """The files."""
        from cloche.cluster.security import Tls

        files = (self.ca, self.cert, self.key)
        return Tls(*(None if file is None else file.absolute() for file in files))


def tls_options(function: Function) -> Function:
    """The files of TLS, which the function gets as ``tls_ca``, ``tls_cert`` and ``tls_key``."""
    for name, what in (
        ("key", "This host's private key."),
        ("cert", "This host's certificate."),
        ("ca", "Certificate of the authority that signed those of all hosts of the cluster."),
    ):
        variable = f"CLOCHE_TLS_{name.upper()}"
        text = f"{what} [${variable}]"
        option = click.option(f"--tls-{name}", type=_FILE, envvar=variable, help=text)
        function = option(function)
    return function


def cluster_options(function: Function) -> Function:
    """``--cluster`` and its own, which the function gets as one `ClusterChoice`, ``cluster``."""

    @wraps(function)
    def with_choice(*arguments: Any, **values: Any) -> Any:
        chosen = (values.pop(name) for name in ("cluster", "tls_ca", "tls_cert", "tls_key"))
        return function(*arguments, cluster=ClusterChoice(*chosen), **values)

    return click.option(
        "--cluster",
        metavar=ADDRESS,
        help="Let the workers of this Dask scheduler build the packages.",
    )(tls_options(with_choice))


@contextmanager
def opened_cluster(options: Options, choice: ClusterChoice) -> Iterator[Cluster | None]:
    """The cluster that was chosen; it connects when it is first used. None without one."""
    if choice.address is None:
        yield None
        return
    from cloche.cluster.cluster import open_cluster
    from cloche.cluster.connection import Settings
    from cloche.cluster.security import exposed, full_address

    address = full_address(choice.address, choice.tls)
    if exposed(address):
        say(f"note: {address} is neither encrypted nor authenticated; see `--tls-ca`")
    with open_cluster(Settings(address, choice.tls, options.engine)) as cluster:
        yield cluster
