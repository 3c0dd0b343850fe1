"""``[kernel.signing]``: the key that signs a machine's modules, and what its kernel needs for it.

Only where the key comes from is known here (`cloche.config.secrets`). The certificate is public: it
is built into the kernel, and part of its key.
"""

from __future__ import annotations

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
TABLE: Final = "[kernel.signing]"
FRAGMENT: Final = ConfigFile(
    "cloche.signing",
    Path(TABLE),
    b"""\
CONFIG_MODULE_SIG=y
CONFIG_MODULE_SIG_SHA512=y
# CONFIG_MODULE_SIG_ALL is not set
CONFIG_MODULE_SIG_KEY=""
CONFIG_SYSTEM_TRUSTED_KEYS="certs/cloche.pem"
""",
)
_PRIVATE: Final = "PRIVATE KEY-----"
_LONG: Final = 0x80  # the size has a size of its own
_VERSION: Final = 0xA0  # [0], which certificates of version 1 lack
#: id-ecPublicKey, Ed25519, … are others (RFC 3279, 8410).
_RSA: Final = bytes.fromhex("2a864886f70d010101")
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


def check_signing(signing: Signing, files: Sequence[ConfigFile]) -> None:
    """Refuse a configuration, merged of these files, with which nothing could be signed.

    Modules that are compressed can only be signed before that. Raises `ConfigError`.
    """
    found: dict[str, tuple[str, Origin]] = {}
    for file in files:
        found.update(said(file))
    value, origin = found.get("MODULES", ("", signing.origin))
    if value == "n":
        what = "CONFIG_MODULES is off, so there are no modules to sign"
        raise ConfigError(origin, what, f"remove the line, or {TABLE}")
    for file in files:
        for name, (value, origin) in said(file).items():
            if name in _COMPRESSED and value == "y":
                what = f"CONFIG_{name}: compressed modules cannot be signed"
                raise ConfigError(origin, what, f"remove the option, or {TABLE}")


def check_fragments(signing: Signing, fragments: Sequence[ConfigFile]) -> None:
    """Refuse fragments that are against what signing needs. Raises `ConfigError`."""
    needed = said(FRAGMENT)
    for fragment in fragments:
        for name, (value, origin) in said(fragment).items():
            wanted = needed.get(name, (value, origin))[0]
            if wanted != value:
                what = f"CONFIG_{name} is “{value}” here, and “{wanted}” by {TABLE}"
                todo = f"remove the line, or {TABLE} in {signing.origin}"
                raise ConfigError(origin, what, todo)


def _check_certificate(file: ConfigFile, origin: Origin) -> None:
    import ssl

    text = decode(file.content, file.path)
    if _PRIVATE in text:
        what = f"{file.name} holds a private key, and everybody could read it in the kernel"
        raise ConfigError(origin, what, "write a file with the certificate alone")
    try:
        algorithm = key_algorithm(ssl.PEM_cert_to_DER_cert(text.strip()))
    except (ValueError, IndexError) as error:
        todo = "write it by `openssl x509 -in CERTIFICATE -out FILE.pem`"
        raise ConfigError(origin, f"{file.name} is not a certificate in PEM", todo) from error
    if algorithm != _RSA:
        what = f"{file.name} is of a key that is not RSA: equal modules would get other signatures"
        todo = "make one by `openssl req -new -x509 -newkey rsa:4096 …` (docs/kernels.md)"
        raise ConfigError(origin, what, todo)


def key_algorithm(certificate: bytes) -> bytes:
    """The object identifier of a certificate's key, as DER has it (X.509, RFC 5280).

    Raises ValueError or IndexError for what is not a certificate.
    """
    signed = _items(_items(certificate)[0][1])[0][1]
    fields = _items(signed)
    if fields[0][0] == _VERSION:
        del fields[0]
    key = fields[5][1]  # after serial number, signature, issuer, validity and subject
    return _items(_items(key)[0][1])[0][1]


def _items(der: bytes) -> list[tuple[int, bytes]]:
    """The tags and contents of what follows each other in DER (X.690). Raises as above."""
    at, found = 0, []
    while at < len(der):
        tag, size = der[at], der[at + 1]
        at += 2
        if size & _LONG:
            digits = size - _LONG
            size, at = int.from_bytes(der[at : at + digits]), at + digits
        if at + size > len(der):
            raise ValueError("cut off")
        found.append((tag, der[at : at + size]))
        at += size
    return found
