"""A binary package from elsewhere is believed as far as its Manifest and a signature reach."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from signing import repacked, signed
from tests.mirrors import Signer, signer

from cloche.binhosts.gpkg import BadPackageError, check_package, unsigned
from cloche.binhosts.index import read_index, without_uri
from cloche.fetching.errors import SignatureError, WrongContentError
from cloche.fetching.openpgp import opened

MEMBERS = {"gpkg-1": b"", "metadata.tar.zst": b"metadata", "image.tar.zst": b"image"}


def manifest(members: Mapping[str, bytes]) -> bytes:
    lines = [
        f"DATA {name} {len(data)} BLAKE2B {hashlib.blake2b(data).hexdigest()} "
        f"SHA512 {hashlib.sha512(data).hexdigest()}\n"
        for name, data in members.items()
    ]
    return "".join(lines).encode()


def tar(members: Mapping[str, bytes]) -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as target:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            target.addfile(info, io.BytesIO(data))
    return sink.getvalue()


PACKAGE = tar({f"a-1/{n}": d for n, d in {**MEMBERS, "Manifest": manifest(MEMBERS)}.items()})


@pytest.fixture(scope="module")
def key() -> Iterator[Signer]:
    with signer() as made:
        yield made


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "a.gpkg.tar"


def test_a_whole_package_is_taken(file: Path) -> None:
    file.write_bytes(PACKAGE)
    checked = check_package(file, "a", None)
    assert checked.signer == ""
    unsigned(file, file.with_name("same"), checked)
    assert file.with_name("same").read_bytes() == PACKAGE


def test_a_signed_package_tells_its_signer(file: Path, tmp_path: Path, key: Signer) -> None:
    file.write_bytes(signed(PACKAGE, key))
    with opened(key.keyring(tmp_path / "keys.asc")) as keyring:
        checked = check_package(file, "a", keyring)
    assert checked.signer == key.fingerprint
    unsigned(file, tmp_path / "plain", checked)
    assert check_package(tmp_path / "plain", "a", None).manifest == checked.manifest
    with signer("second") as other:
        file.write_bytes(signed(PACKAGE, other))
    unsigned(file, tmp_path / "again", check_package(file, "a", None))
    assert (tmp_path / "again").read_bytes() == (tmp_path / "plain").read_bytes()


def test_another_one_s_signature_is_refused(file: Path, tmp_path: Path, key: Signer) -> None:
    with signer("stranger") as stranger:
        file.write_bytes(signed(PACKAGE, stranger))
    with (
        opened(key.keyring(tmp_path / "keys.asc")) as keyring,
        pytest.raises(SignatureError, match="not in the keyring"),
    ):
        check_package(file, "a", keyring)


def test_no_signature_is_refused(file: Path, tmp_path: Path, key: Signer) -> None:
    file.write_bytes(PACKAGE)
    with (
        opened(key.keyring(tmp_path / "keys.asc")) as keyring,
        pytest.raises(SignatureError, match="not signed"),
    ):
        check_package(file, "a", keyring)


def test_what_was_added_after_the_signature_is_refused(
    file: Path, tmp_path: Path, key: Signer
) -> None:
    whole = signed(PACKAGE, key)
    with opened(key.keyring(tmp_path / "keys.asc")) as keyring:
        for change in (
            lambda m: {**m, "image.tar.zst": b"imagE"},
            lambda m: {**m, "image.tar.zst": b"image and more"},
            lambda m: {**m, "image.tar.xz": b"another"},
            lambda m: {n: d for n, d in m.items() if n != "image.tar.zst"},
            lambda m: {**m, "gpkg-1": b"x"},
        ):
            file.write_bytes(repacked(whole, change))
            with pytest.raises(BadPackageError):
                check_package(file, "a", keyring)


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"a-1/Manifest": b""},
        {"a-1/x": b""},
        {"../a/gpkg-1": b""},
        {"a-1/gpkg-1": b"", "b-1/Manifest": b""},
        {"a-1/Manifest": b"x" * (2 << 20)},
        {f"a-1/{n}": d for n, d in MEMBERS.items()} | {"a-1/Manifest": b"DATA image.tar.zst -1"},
        {f"a-1/{n}": d for n, d in MEMBERS.items()}
        | {"a-1/Manifest": b"DATA image.tar.zst 5 MD5 a"},
    ],
)
def test_what_is_not_a_package_is_refused(file: Path, members: Mapping[str, bytes]) -> None:
    file.write_bytes(tar(members))
    with pytest.raises(BadPackageError):
        check_package(file, "a", None)


def test_a_cut_off_package_is_refused(file: Path) -> None:
    for end in (0, 100, 600, 1600):
        file.write_bytes(PACKAGE[:end])
        with pytest.raises(BadPackageError):
            check_package(file, "a", None)


def test_an_index_may_be_compressed_and_no_bomb(tmp_path: Path) -> None:
    file = tmp_path / "Packages.gz"
    file.write_bytes(gzip.compress(b"TIMESTAMP: 1\n\n"))
    assert read_index(file, "x") == b"TIMESTAMP: 1\n\n"
    file.write_bytes(gzip.compress(b"0" * 100_000))
    with pytest.raises(WrongContentError, match="inflates"):
        read_index(file, "x", longest=10_000)
    file.write_bytes(gzip.compress(b"TIMESTAMP: 1\n\n")[:-9])
    with pytest.raises(WrongContentError, match="truncated"):
        read_index(file, "x")
    file.write_bytes(b"\x1f\x8b" + b"\0" * 20)
    with pytest.raises(WrongContentError, match="not an index"):
        read_index(file, "x")


def test_an_index_sends_nobody_elsewhere() -> None:
    index = b"TIMESTAMP: 1\nURI: http://elsewhere/\n\nCPV: a/b-1\nURI: x\n"
    assert without_uri(index) == b"TIMESTAMP: 1\n\nCPV: a/b-1\nURI: x\n"
