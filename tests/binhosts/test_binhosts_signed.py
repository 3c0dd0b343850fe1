"""A package is signed as it is published, and Portage's own code takes the result."""

from __future__ import annotations

import os
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from portage.gpkg import gpkg
from test_binhosts_gpkg import MEMBERS, PACKAGE
from tests.mirrors import Signer, signer

import portage
from cloche.binhosts.gpkg import BadPackageError, check_package
from cloche.binhosts.signed import sign_package
from cloche.fetching.openpgp import opened
from cloche.fetching.signing import opened_signer


@pytest.fixture(scope="module")
def key() -> Iterator[Signer]:
    with signer("packages") as made:
        os.environ["GNUPGHOME"] = str(made.home)
        yield made
        del os.environ["GNUPGHOME"]


@pytest.fixture
def signed(key: Signer, tmp_path: Path) -> Path:
    plain, target = tmp_path / "plain.gpkg.tar", tmp_path / "a-1.gpkg.tar"
    plain.write_bytes(PACKAGE)
    with opened_signer(key.fingerprint) as own:
        sign_package(plain, target, own)
    return target


def test_manifest_and_members_are_signed(key: Signer, signed: Path, tmp_path: Path) -> None:
    with opened(key.keyring(tmp_path / "key.asc")) as keyring:
        checked = check_package(signed, "a", keyring)
    assert checked.signer == key.fingerprint
    with tarfile.open(signed) as tar:
        names = [name.partition("/")[2] for name in tar.getnames()]
    (tmp_path / "out").mkdir()
    subprocess.run(["tar", "-xf", signed, "-C", tmp_path / "out"], check=True)
    assert names == [
        *("gpkg-1", "metadata.tar.zst", "metadata.tar.zst.sig"),
        *("image.tar.zst", "image.tar.zst.sig", "Manifest"),
    ]
    for name in ("metadata.tar.zst", "image.tar.zst"):
        file = tmp_path / "out/a-1" / name
        assert file.read_bytes() == MEMBERS[name]
        subprocess.run(["gpg", "--verify", f"{file}.sig", file], check=True, capture_output=True)


def test_portage_itself_verifies_it(key: Signer, signed: Path) -> None:
    settings = portage.config(
        config_profile_path="/nonexistent",
        env={
            "FEATURES": "binpkg-request-signature",
            "BINPKG_GPG_VERIFY_BASE_COMMAND": f"gpg --homedir {key.home} --batch --status-fd 2 "
            "--verify --output - [SIGNATURE]",
            "BINPKG_GPG_VERIFY_GPG_HOME": str(key.home),
            "GPG_VERIFY_USER_DROP": "",
            "GPG_VERIFY_GROUP_DROP": "",
        },
    )
    gpkg(settings, "a-1", str(signed), verify_signature=True)._verify_binpkg()
    data = bytearray(signed.read_bytes())
    place = data.index(b"image", data.index(b"image.tar.zst") + 13)
    data[place : place + 5] = b"IMAGE"
    signed.write_bytes(bytes(data))
    with pytest.raises(portage.exception.PortageException):
        gpkg(settings, "a-1", str(signed), verify_signature=True)._verify_binpkg()


def test_signing_again_replaces_the_signatures(key: Signer, signed: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.gpkg.tar"
    with opened_signer(key.fingerprint) as own:
        sign_package(signed, again, own)
    with opened(key.keyring(tmp_path / "key.asc")) as keyring:
        assert check_package(again, "a", keyring).signer == key.fingerprint


def test_what_is_not_whole_is_not_signed(key: Signer, tmp_path: Path) -> None:
    broken, target = tmp_path / "broken", tmp_path / "target"
    broken.write_bytes(PACKAGE.replace(b"metadata", b"METADATA", 1))
    with opened_signer(key.fingerprint) as own, pytest.raises(BadPackageError):
        sign_package(broken, target, own)
    assert not target.exists()
