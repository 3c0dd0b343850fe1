"""Signatures by real keys: right, wrong, of others, expired, with text around them."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.mirrors import signer

from cloche.fetching.errors import FetchingError, SignatureError
from cloche.fetching.openpgp import opened

TEXT = "one\n- two\n\n-----BEGIN three\n"


def test_a_clear_text_signature_gives_the_text(tmp_path: Path) -> None:
    with signer() as key, opened(key.keyring(tmp_path / "keys.asc")) as keyring:
        assert keyring.signed_text(key.clear(TEXT), "here") == (TEXT, key.fingerprint)


def test_what_is_wrong_with_it_is_told(tmp_path: Path) -> None:
    with signer() as key, signer("other") as other:
        signed = key.clear(TEXT)
        with opened(key.keyring(tmp_path / "keys.asc")) as keyring:
            for text, reason in (
                (signed.replace("one", "won"), "bad signature"),
                (other.clear(TEXT), "not in the keyring"),
                (TEXT, "not signed"),
                (f"before\n{signed}", "not signed"),
                (f"{signed}after\n", "not signed"),
                (signed + other.clear("more\n"), "not signed"),
                (signed.replace("\n\n", "\nX: y\n\n", 1), "not signed"),
            ):
                with pytest.raises(SignatureError, match=reason):
                    keyring.signed_text(text, "here")


def test_a_detached_signature(tmp_path: Path) -> None:
    file, signature = tmp_path / "file", tmp_path / "file.asc"
    file.write_bytes(b"\0" * 100_000)
    with signer() as key, opened(key.keyring(tmp_path / "keys.asc")) as keyring:
        signature.write_text(key.detached(file))
        assert keyring.check(file, signature, "here") == key.fingerprint
        file.write_bytes(b"\1" * 100_000)
        with pytest.raises(SignatureError, match="bad signature"):
            keyring.check(file, signature, "here")
        signature.write_text("nothing")
        with pytest.raises(SignatureError, match="cannot be read"):
            keyring.check(file, signature, "here")


def test_keys_that_have_expired(tmp_path: Path) -> None:
    made, then = "20200101T000000", "20200601T000000"
    with signer("old", "--faked-system-time", made) as key:
        signed = key.run("--faked-system-time", then, "--clearsign", data=TEXT)
        expiry = ("--passphrase", "", "--quick-set-expire", key.fingerprint)
        key.run("--faked-system-time", made, *expiry, "2020-12-01")
        with opened(key.keyring(tmp_path / "keys.asc")) as keyring:
            # Made while the key was good: it holds, as those of old tarballs do.
            assert keyring.signed_text(signed, "here")[1] == key.fingerprint
        key.run("--faked-system-time", "20200102T000000", *expiry, "2020-02-01")
        with (
            opened(key.keyring(tmp_path / "keys.asc")) as keyring,
            pytest.raises(SignatureError, match="signed by an expired key"),
        ):
            keyring.signed_text(signed, "here")


def test_a_keyring_has_to_be_one(tmp_path: Path) -> None:
    with pytest.raises(FetchingError, match="no such keyring"), opened(tmp_path / "none"):
        pass
    (tmp_path / "empty").write_text("no keys\n")
    with pytest.raises(FetchingError, match="no key"), opened(tmp_path / "empty"):
        pass
