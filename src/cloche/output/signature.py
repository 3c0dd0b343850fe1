"""Signs kernel modules as the kernel's scripts/sign-file does, by openssl(1) of the host.

A signature is appended to a module (Documentation/admin-guide/module-signing.rst): CMS of its
bytes, detached, without certificates and attributes, then a header (struct module_signature of
include/linux/module_signature.h) and a line. With an RSA key equal modules get equal signatures.
The private key is in the memory of this process, of those forked from it (which no program in a
sandbox can read), and of openssl; it is in no file.
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Final

from cloche.config.errors import ConfigError
from cloche.config.kernel_signing import HASH, Signing
from cloche.errors import ClocheError, Exit

MAGIC: Final = b"~Module signature appended~\n"
#: Algorithm and hash (both in the CMS), PKEY_ID_PKCS7, lengths of signer and key ID (likewise),
#: padding, the length of the CMS.
HEADER: Final = struct.Struct(">BBBBB3xI")
PKEY_ID_PKCS7: Final = 2
TIMEOUT: Final = 60.0  # seconds
_SIGN: Final = (
    *("cms", "-sign", "-binary", "-nocerts", "-noattr", "-nosmimecap", "-outform", "DER"),
    *("-md", HASH, "-passin", "pass:"),
)


@dataclass(frozen=True, slots=True)
class Signer:
    """A private key and its certificate, as open files in memory."""

    signing: Signing
    key: int
    certificate: int

    def signed(self, module: bytes) -> bytes:
        """The module with its signature. Raises ClocheError."""
        files = ("-signer", f"/dev/fd/{self.certificate}", "-inkey", f"/dev/fd/{self.key}")
        found = self._openssl(*_SIGN, *files, given=module)
        if not found:
            raise ClocheError("openssl cannot sign modules", where=self.signing.origin)
        header = HEADER.pack(0, 0, PKEY_ID_PKCS7, 0, 0, len(found))
        return module + found + header + MAGIC

    def check(self) -> None:
        """See that the key can be used, and is that of the certificate. Raises `ConfigError`."""
        file = self.signing.certificate
        certified = self._openssl("x509", "-noout", "-pubkey", "-in", f"/dev/fd/{self.certificate}")
        if not certified:
            raise ConfigError(
                self.signing.origin, f"openssl cannot read the certificate {file.name}"
            )
        own = self._openssl("pkey", "-pubout", "-passin", "pass:", "-in", f"/dev/fd/{self.key}")
        if not own:
            what = f"openssl cannot read what {self.signing.key.source} gives as a private key"
            raise ConfigError(self.signing.origin, what, "give one in PEM, without a passphrase")
        if own != certified:
            what = f"{self.signing.key.source} is not the key of the certificate {file.name}"
            raise ConfigError(self.signing.origin, what, "give the key and its own certificate")

    def _openssl(self, *words: str, given: bytes = b"") -> bytes:
        """What openssl writes; nothing if it fails."""
        try:
            done = subprocess.run(
                ("openssl", *words),
                input=given,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                pass_fds=(self.key, self.certificate),
                timeout=TIMEOUT,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ClocheError(f"openssl: {error}", status=Exit.HOST) from error
        return done.stdout if done.returncode == 0 else b""


def check_openssl(signing: Signing) -> None:
    """See that this host has openssl(1). Raises `ConfigError`."""
    if shutil.which("openssl") is None:
        what = "modules are signed by openssl, which is not on this host"
        raise ConfigError(signing.origin, what, "install openssl", status=Exit.HOST)


@contextmanager
def signer(signing: Signing, key: bytes) -> Iterator[Signer]:
    """Give a signer, whose files are closed at the end."""
    with ExitStack() as stack:
        key_file = stack.enter_context(_in_memory("key", key))
        certificate = stack.enter_context(_in_memory("certificate", signing.certificate.content))
        yield Signer(signing, key_file, certificate)


@contextmanager
def _in_memory(name: str, content: bytes) -> Iterator[int]:
    descriptor = os.memfd_create(name)
    try:
        os.write(descriptor, content)
        yield descriptor
    finally:
        os.close(descriptor)
