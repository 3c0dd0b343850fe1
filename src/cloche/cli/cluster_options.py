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
    from cloche.cluster.security import Tls
    from cloche.cluster.verifying import Verifying

Function = Callable[..., Any]
_FILE = click.Path(dir_okay=False, path_type=Path)
ADDRESS = "HOST:PORT"
_OWN = ("cluster", "tls_ca", "tls_cert", "tls_key", "verify_share")


@dataclass(frozen=True, slots=True)
class ClusterChoice:
    """What was chosen: the scheduler's address, files of TLS, a share to verify (percent)."""

    address: str | None
    ca: Path | None
    cert: Path | None
    key: Path | None
    share: float = 0.0

    @property
    def tls(self) -> Tls:
        """The files."""
        from cloche.cluster.security import Tls

        files = (self.ca, self.cert, self.key)
        ca, cert, key = (None if file is None else file.absolute() for file in files)
        return Tls(ca, cert, key)


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
        chosen = ClusterChoice(*(values.pop(name) for name in _OWN))
        if chosen.share and chosen.address is None:
            raise click.UsageError("--verify-share needs --cluster")
        return function(*arguments, cluster=chosen, **values)

    share = click.option(
        "--verify-share",
        type=Percent(),
        default=0.0,
        metavar="PERCENT",
        help="Build this share of the packages twice, on different workers, and compare them.",
    )
    return click.option(
        "--cluster",
        metavar=ADDRESS,
        help="Let the workers of this Dask scheduler build the packages.",
    )(tls_options(share(with_choice)))


class Percent(click.ParamType):  # type: ignore[type-arg]  # no generic before click 8.2
    """A percentage, as ``5%`` or ``5``."""

    name = "percent"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """The number of percent."""
        try:
            percent = float(str(value).removesuffix("%"))
        except ValueError:
            percent = -1.0
        if not 0 <= percent <= 100:
            self.fail(f"“{value}” is not a percentage from 0% to 100%", param, ctx)
        return percent


@contextmanager
def opened_cluster(options: Options, choice: ClusterChoice) -> Iterator[Verifying | None]:
    """The cluster that was chosen, as a session takes it. None without one.

    It connects when it is first used.
    """
    if choice.address is None:
        yield None
        return
    from cloche.cluster.connection import Settings
    from cloche.cluster.security import exposed, full_address
    from cloche.cluster.verifying import open_cluster

    address = full_address(choice.address, choice.tls)
    if exposed(address):
        say(f"note: {address} is neither encrypted nor authenticated; see `--tls-ca`")
    settings = Settings(address, choice.tls, options.engine)
    with open_cluster(settings, choice.share / 100) as cluster:
        yield cluster
