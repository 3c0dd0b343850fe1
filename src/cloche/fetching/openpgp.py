"""Verifies OpenPGP signatures with gpg, in a temporary home with a single keyring."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from cloche.fetching.errors import SignatureError, bad_keyring, no_gpg

if TYPE_CHECKING:
    from gemato.openpgp import IsolatedGPGEnvironment, OpenPGPSignatureList

GENTOO_KEYRING = Path("/usr/share/openpgp-keys/gentoo-release.asc")
"""Where sec-keys/openpgp-keys-gentoo-release puts the keys of releases and snapshots."""

_BEGIN = "-----BEGIN PGP SIGNED MESSAGE-----"
_SIGNATURE = "-----BEGIN PGP SIGNATURE-----"
_END = "-----END PGP SIGNATURE-----"
_STATUS = {
    "BAD": "bad signature",
    "EXPIRED": "the signature has expired",
    "NO_PUBLIC_KEY": "signed by a key that is not in the keyring",
    "EXPIRED_KEY": "signed by an expired key",
    "REVOKED_KEY": "signed by a revoked key",
}


class Keyring:
    """The keys of one file; see `opened`."""

    def __init__(self, path: Path, environment: IsolatedGPGEnvironment) -> None:
        self.path = path
        self._environment = environment

    def signed_text(self, text: str, source: str) -> tuple[str, str]:
        """The text of a cleartext signature (RFC 9580, 7), and the signer's fingerprint.

        Nothing may precede or follow it. Raises `SignatureError`.
        """
        body = signed_part(text)
        if body is None:
            raise SignatureError(source, "not signed", self.path)
        import io

        file = io.StringIO(text)
        signer = self._checked(source, lambda: self._environment.verify_file(file))
        return body, signer

    def check(self, file: Path, signature: Path, source: str) -> str:
        """Check a detached signature; return the signer's fingerprint. Raises `SignatureError`."""
        with file.open("rb") as data:
            return self._checked(source, lambda: self._environment.verify_detached(signature, data))

    def _checked(self, source: str, verify: Callable[[], OpenPGPSignatureList]) -> str:
        from gemato.exceptions import GematoException, OpenPGPNoImplementation

        try:
            return str(verify().primary_key_fingerprint)
        except OpenPGPNoImplementation as error:
            raise no_gpg(source) from error
        except (GematoException, AssertionError, ValueError) as error:
            data = getattr(error, "sig_data", None)
            status = data.sig_status.name if data and data.sig_status else ""
            reason = _STATUS.get(status, "the signature cannot be read")
            raise SignatureError(source, reason, self.path, str(error)) from error


@contextmanager
def opened(path: Path) -> Iterator[Keyring]:
    """Let gpg import a keyring, armoured or not. Raises `FetchingError`."""
    check_requirements(path)
    from gemato.exceptions import GematoException
    from gemato.openpgp import IsolatedGPGEnvironment

    with IsolatedGPGEnvironment() as environment:
        try:
            with path.open("rb") as keys:
                environment.import_key(keys)
        except GematoException as error:
            raise bad_keyring(path, "not a keyring: gpg finds no key in it") from error
        yield Keyring(path, environment)


def check_requirements(path: Path) -> None:
    """Check that gpg and the keyring exist, before anything is fetched.

    Raises `FetchingError`.
    """
    if shutil.which("gpg") is None:
        raise no_gpg(str(path))
    if not path.is_file():
        raise bad_keyring(path, "there is no such keyring")


def signed_part(text: str) -> str | None:
    """The text between header and signature of a cleartext signature.

    None if the text holds anything else.
    """
    lines = text.replace("\r\n", "\n").rstrip("\n").split("\n")
    if lines[0] != _BEGIN or lines[-1] != _END or lines.count(_BEGIN) != 1:
        return None
    if "" not in lines or lines.count(_SIGNATURE) != 1:
        return None
    first, last = lines.index("") + 1, lines.index(_SIGNATURE)
    if first > last or not all(
        re.fullmatch("Hash: [A-Z0-9, ]+", line) for line in lines[1 : first - 1]
    ):
        return None
    return "".join(f"{line.removeprefix('- ')}\n" for line in lines[first:last])
