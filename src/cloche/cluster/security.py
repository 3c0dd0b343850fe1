"""TLS of a cluster, and addresses."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from cloche.cluster.errors import ClusterError, missing_extra
from cloche.errors import Exit

if TYPE_CHECKING:
    from distributed import Security

PORT = 8786  # dask scheduler's
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True, slots=True)
class Tls:
    """The files of TLS: the authority that signed all hosts' certificates, and this host's own.

    Without any of them Dask's own configuration counts (`distributed.comm.tls`).
    """

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    option: str = field(default="--tls", compare=False)  # how the command line's options begin

    @property
    def given(self) -> bool:
        """Whether there are files."""
        return self.ca is not None

    def check(self) -> None:
        """Raise ClusterError for files that are missing."""
        option = self.option
        files = {f"{option}-ca": self.ca, f"{option}-cert": self.cert, f"{option}-key": self.key}
        lacking = [name for name, file in files.items() if file is None]
        if 0 < len(lacking) < len(files):
            what = f"TLS needs {', '.join(lacking)}, too"
            raise ClusterError(what, status=Exit.BAD_INPUT)
        for name, file in files.items():
            if file is not None and not file.is_file():
                raise ClusterError(f"{name}: no such file", where=file, status=Exit.BAD_INPUT)

    def words(self) -> tuple[str, ...]:
        """The options of the command line that say the same."""
        files = {"--tls-ca": self.ca, "--tls-cert": self.cert, "--tls-key": self.key}
        return tuple(word for name, file in files.items() if file for word in (name, str(file)))


def security_of(tls: Tls) -> Security:
    """The same for Dask. Raises ClusterError."""
    tls.check()
    try:
        from distributed import Security
    except ImportError as error:
        raise missing_extra(error) from error
    if not tls.given:
        return Security()
    ca, cert, key = str(tls.ca), str(tls.cert), str(tls.key)
    return Security(
        tls_ca_file=ca,
        tls_client_cert=cert,
        tls_client_key=key,
        tls_worker_cert=cert,
        tls_worker_key=key,
        tls_scheduler_cert=cert,
        tls_scheduler_key=key,
        require_encryption=True,
    )


def full_address(text: str, tls: Tls) -> str:
    """An address with its scheme and port: ``tls://HOST:8786`` for ``HOST`` if there is TLS.

    Raises ClusterError.
    """
    scheme, there, rest = text.rpartition("://")
    scheme = scheme if there else "tls" if tls.given else "tcp"
    parts = urlsplit(f"{scheme}://{rest}")
    try:
        port = parts.port or PORT
    except ValueError:
        port = 0
    if (
        scheme not in ("tcp", "tls")
        or not parts.hostname
        or not port
        or parts.path not in ("", "/")
    ):
        what = f"“{text}” is not the address of a scheduler"
        raise ClusterError(what, todo="write HOST:PORT", status=Exit.BAD_INPUT)
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{scheme}://{host}:{port}"


def host_of(address: str) -> str:
    """The host of a full address."""
    return urlsplit(address).hostname or ""


def exposed(address: str) -> bool:
    """Whether what goes there can be read and changed on its way."""
    return address.startswith("tcp:") and host_of(address) not in _LOOPBACK
