"""A stock emerge takes packages of a service with its own certificate and its own key."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from scripted import serving
from target_root import Target
from tests.client.handed_out import client
from tests.mirrors import Signer, signer

from cloche.binhosts.signed import sign_package
from cloche.fetching.signing import opened_signer

pytestmark = pytest.mark.real
INSTALL = ("emerge", "--getbinpkgonly", "app-misc/leaf")


@pytest.fixture(scope="module")
def key() -> Iterator[Signer]:
    with pytest.MonkeyPatch.context() as patch, signer("packages") as made:
        patch.setenv("GNUPGHOME", str(made.home))
        yield made


@pytest.fixture
def signed(packages: Path, key: Signer, tmp_path: Path) -> Path:
    """The packages, signed, with an index of what was signed."""
    place = tmp_path / "signed"
    shutil.copytree(packages, place)
    with opened_signer(key.fingerprint) as own:
        for file in place.rglob("*.gpkg.tar"):
            sign_package(file, file, own)
            indexed(place / "Packages", file)
    (place / "Packages.gz").unlink()
    return place


def indexed(index: Path, file: Path) -> None:
    """Write a package's size and digests into the index beside it."""
    entries, content = index.read_text().split("\n\n"), file.read_bytes()
    path = f"\nPATH: {file.relative_to(index.parent)}"
    values = {
        "SIZE": str(len(content)),
        "MD5": hashlib.md5(content, usedforsecurity=False).hexdigest(),
        "SHA1": hashlib.sha1(content, usedforsecurity=False).hexdigest(),
    }
    for number, entry in enumerate(entries):
        if path in entry:
            for name, value in values.items():
                entry = re.sub(rf"(?m)^{name}: .*", f"{name}: {value}", entry)
            entries[number] = entry
    index.write_text("\n\n".join(entries))


def give_gpg(target: Target) -> None:
    """Put gpg into a target, with the libraries that it has not."""
    told = subprocess.run(["ldd", "/usr/bin/gpg"], capture_output=True, text=True, check=True)
    for name in ("/usr/bin/gpg", *re.findall(r"=> (/\S+)", told.stdout)):
        path = str(Path(name).parent.resolve() / Path(name).name).lstrip("/")  # /lib is a link
        if not (target.seed / path).exists():
            place = target.place / "upper" / path
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(name, place)


def test_a_self_signed_certificate_does_for_emerge_too(
    weak: Target, packages: Path, tmp_path: Path
) -> None:
    both = tmp_path / "both.pem"
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-nodes", "-subj", "/CN=here", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2",
             "-keyout", "-", "-out", "-"]  # fmt: skip
    both.write_bytes(subprocess.run(words, check=True, capture_output=True).stdout)
    words = ["openssl", "x509", "-in", str(both), "-noout", "-fingerprint", "-sha256"]
    told = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    fingerprint = told.strip().partition("=")[2]
    with serving(both) as script:
        script.binhost = lambda: packages
        told = weak.client("enrol", "--server", script.address, check=False)
        assert "is not trusted: self" in told
        weak.client("enrol", "--server", script.address, "--fingerprint", fingerprint)
        assert weak.client("refresh") == "Nothing changed.\n"
        assert ">>> Emerging binary (1 of 1) app-misc/leaf-1" in weak.run(*INSTALL)


def test_only_what_the_service_signed_is_installed(
    weak: Target, packages: Path, signed: Path, key: Signer, tmp_path: Path
) -> None:
    give_gpg(weak)
    with serving() as script:
        script.public_key = key.keyring(tmp_path / "key.asc").read_text()
        weak.client("enrol", "--server", script.address)
        script.binhost = lambda: packages
        told = weak.run(*INSTALL, check=False)
        assert "GnuPG verification failed" in told or "unsigned" in told
        assert not told.endswith("exit 0")
        weak.run("rm", "-rf", "/var/cache/binhost", "/var/cache/edb/binhost")
        script.binhost = lambda: signed
        assert ">>> Emerging binary (1 of 1) app-misc/leaf-1" in weak.run(*INSTALL)
        assert (weak.place / "upper/var/db/pkg/app-misc/leaf-1").is_dir()


def keys_in(target: Target) -> set[str]:
    """The fingerprints of the keys with which Portage verifies."""
    words = ("gpg", "--homedir", "/etc/portage/gnupg", "--batch", "--with-colons", "--list-keys")
    return set(client.primary_fingerprints(target.run(*words, check=False)))


def test_keys_of_before_are_known(weak: Target, key: Signer, tmp_path: Path) -> None:
    give_gpg(weak)
    with serving() as script, signer("former") as former:
        first, second = former.keyring(tmp_path / "1"), key.keyring(tmp_path / "2")
        words = ("enrol", "--server", script.address)
        both = {former.fingerprint, key.fingerprint}
        for more, kept in (
            ((), both),
            (("--drop-old-keys",), {key.fingerprint}),
            (("--again",), {key.fingerprint}),
        ):
            if not more:
                script.public_key = first.read_text()
                weak.client(*words)
                assert keys_in(weak) == {former.fingerprint}
            script.public_key = second.read_text()
            weak.client(*words, *more)
            assert keys_in(weak) == kept
        script.public_key = first.read_text()
        weak.client(*words, "--again")
        assert keys_in(weak) == both
        weak.client("leave")
        assert keys_in(weak) == set()


def test_no_command_line_has_the_token(weak: Target, packages: Path) -> None:
    """Everybody on a machine sees the command lines of others (`ps`)."""
    weak.write("usr/bin/wget.real", "").write_bytes((weak.seed / "usr/bin/wget").read_bytes())
    for path, text in {
        "usr/bin/wget": '#!/bin/sh\necho "$@" >> /wget.log\nexec /usr/bin/wget.real "$@"\n'
    }.items():
        weak.write(path, text)
    weak.run("chmod", "755", "/usr/bin/wget", "/usr/bin/wget.real")
    with serving() as script:
        script.binhost = lambda: packages
        weak.client("enrol", "--server", script.address)
        assert ">>> Emerging binary (1 of 1) app-misc/leaf-1" in weak.run(*INSTALL)
        sent = script.requests("GET", ".gpkg.tar")
        assert [headers["Authorization"] for headers, _ in sent] == ["Bearer s3cret"]
    seen = weak.run("cat", "/wget.log")
    assert ".gpkg.tar" in seen
    assert "s3cret" not in seen


def test_emerge_goes_on_without_a_service(weak: Target, packages: Path) -> None:
    with serving() as script:
        script.binhost = lambda: packages
        weak.client("enrol", "--server", script.address)
    words = ("emerge", "--pretend", "--getbinpkg", "app-misc/leaf")
    told = weak.run(*words, check=False)
    assert "[ebuild  N     ] app-misc/leaf-1" in told
    assert told.endswith("exit 0"), "Portage itself would end with a traceback"
    with serving() as script:
        script.binhost = lambda: packages
        weak.client("enrol", "--server", script.address, "--again")
        assert "[binary  N g   ] app-misc/leaf-1" in weak.run(*words)
    told = weak.run(*words, check=False)
    assert "no index from the service; the last one is used" in told
    assert "[binary  N g   ] app-misc/leaf-1" in told
