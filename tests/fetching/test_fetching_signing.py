"""Signatures by a real gpg and its agent, with a key that is made for the test."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloche.errors import ClocheError
from cloche.fetching.signing import opened_signer
from cloche.releng.staging import stage

USER = "releng@example.org"


@pytest.fixture(scope="module")
def keyring() -> Iterator[Path]:
    """A home of gpg with one key. The path is short: the agent's socket is below it."""
    with tempfile.TemporaryDirectory(prefix="gpg-") as place:
        os.environ["GNUPGHOME"] = place
        make = ("--batch", "--passphrase", "", "--quick-generate-key", USER, "ed25519", "sign")
        subprocess.run(["gpg", *make], check=True, capture_output=True)
        yield Path(place)
        subprocess.run(["gpgconf", "--kill", "all"], check=False)
        del os.environ["GNUPGHOME"]


def verified(*words: str | Path) -> bool:
    done = subprocess.run(["gpg", "--batch", *words], check=False, capture_output=True)
    return done.returncode == 0


def test_a_detached_signature_is_armored_and_of_that_file(keyring: Path, tmp_path: Path) -> None:
    file, signature = tmp_path / "stage3.tar", tmp_path / "stage3.tar.asc"
    file.write_bytes(b"content")
    with opened_signer(USER) as signer:
        signer.detached(file, signature)
    assert signature.read_text().startswith("-----BEGIN PGP SIGNATURE-----")
    assert verified("--verify", signature, file)
    file.write_bytes(b"other content")
    assert not verified("--verify", signature, file)


def test_a_text_can_be_signed_in_the_clear(keyring: Path, tmp_path: Path) -> None:
    file, signed = tmp_path / "latest.txt", tmp_path / "signed"
    file.write_text("# Latest as of now\n")
    with opened_signer(USER) as signer:
        signer.cleartext(file, signed)
    assert "# Latest as of now" in signed.read_text()
    assert verified("--verify", signed)


@pytest.mark.parametrize("key", ["nobody@example.org", "--version"])
def test_a_key_that_gpg_does_not_have_is_refused_at_once(keyring: Path, key: str) -> None:
    with pytest.raises(ClocheError) as raised, opened_signer(key):
        pytest.fail("it began")
    assert raised.value.status == 2
    assert key in str(raised.value)


def test_a_file_that_is_not_there_is_named(keyring: Path, tmp_path: Path) -> None:
    with opened_signer(USER) as signer, pytest.raises(ClocheError, match="cannot sign"):
        signer.detached(tmp_path / "absent", tmp_path / "absent.asc")


def test_the_lists_of_a_mirror_are_signed(keyring: Path, tmp_path: Path) -> None:
    builds, mirror = tmp_path / "builds", tmp_path / "mirror"
    builds.mkdir()
    (builds / "install-a-20260101.iso").touch()
    with opened_signer(USER) as signer:
        stage(builds, mirror, 0.0, signer.cleartext)
    for name in (
        "latest-iso.txt",
        "latest-install-a.txt",
        "current-install-a/latest-install-a.txt",
    ):
        assert verified("--verify", mirror / name)
        assert "install-a-20260101.iso 0" in (mirror / name).read_text()
