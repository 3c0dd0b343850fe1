"""``[kernel.signing]``: the key that signs a machine's modules, and what its kernel needs for it.

Only where the key comes from is known here (`cloche.config.secrets`). The certificate is public: it
is built into the kernel, and part of its key.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cloche.config.errors import ConfigError, Origin
from cloche.config.files import decode
from cloche.config.kernel_files import ConfigFile, read_file, said
from cloche.config.secrets import Secret, source_of
from cloche.config.table import Table

KEYS: Final = ("file", "command", "certificate")
HASH: Final = "sha512"
#: What a kernel needs to trust the certificate. Its own build signs nothing.
FRAGMENT: Final = ConfigFile(
    "cloche.signing",
    Path("[kernel.signing]"),
    b"""\
CONFIG_MODULE_SIG=y
CONFIG_MODULE_SIG_SHA512=y
# CONFIG_MODULE_SIG_ALL is not set
CONFIG_MODULE_SIG_KEY=""
CONFIG_SYSTEM_TRUSTED_KEYS="certs/cloche.pem"
""",
)
_PRIVATE: Final = "PRIVATE KEY-----"
_COMPRESSED: Final = ("MODULE_COMPRESS", *(f"MODULE_COMPRESS_{e}" for e in ("GZIP", "XZ", "ZSTD")))


@dataclass(frozen=True, slots=True)
class Signing:
    """The private ``key`` of modules, and its ``certificate`` (X.509, PEM) in the project."""

    origin: Origin
    key: Secret
    certificate: ConfigFile


def read_signing(table: Table, root: Path) -> Signing:
    """``[kernel.signing]``. Raises `ConfigError`."""
    table.only(KEYS)
    file, command = source_of(table, root)
    text = table.required("certificate", '"kernel/modules.pem"')
    certificate = read_file(text, table.origin("certificate"), root)
    _check_certificate(certificate, table.origin("certificate"))
    key = Secret(table.origin(), file=file, command=command, key="key of modules")
    return Signing(table.origin(), key, certificate)


def check_compression(files: Sequence[ConfigFile]) -> None:
    """Refuse a configuration that compresses modules, which can only be signed before that.

    Raises `ConfigError`.
    """
    for file in files:
        for name, (value, origin) in said(file).items():
            if name in _COMPRESSED and value == "y":
                what = f"CONFIG_{name}: compressed modules cannot be signed"
                raise ConfigError(origin, what, "remove the option, or [kernel.signing]")


def _check_certificate(file: ConfigFile, origin: Origin) -> None:
    text = decode(file.content, file.path)
    if _PRIVATE in text:
        what = f"{file.name} holds a private key, and everybody could read it in the kernel"
        raise ConfigError(origin, what, "write a file with the certificate alone")
    try:
        ssl.PEM_cert_to_DER_cert(text.strip())
    except ValueError as error:
        todo = "write it by `openssl x509 -in CERTIFICATE -out FILE.pem`"
        raise ConfigError(origin, f"{file.name} is not a certificate in PEM", todo) from error
