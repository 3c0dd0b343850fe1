"""The files that the client writes on its machine."""

from __future__ import annotations

import configparser
import os
import stat
import subprocess
from pathlib import Path

import pytest
from tests.client.handed_out import client

ENROLMENT = client.Enrolment("https://host:8000/sub", "weak1", "s3cr%t", "weak", public_key="KEY")


def read(text: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read_string(text)
    return parser


def test_the_entry_names_the_targets_own_address_and_no_token() -> None:
    entry = read(client.binrepos_section(ENROLMENT, 10))["cloche"]
    assert entry["sync-uri"] == "https://host:8000/sub/t/weak1"
    assert entry["verify-signature"] == "true"
    assert entry["priority"] == "10"
    assert "s3cr%t" not in "".join(entry.values())


def test_wget_gets_the_token_and_certificates_from_a_file() -> None:
    own = client.replace(ENROLMENT, ca="/etc/my ca.pem")
    lines = client.wgetrc(own).splitlines()
    assert "header = Authorization: Bearer s3cr%t" in lines
    assert "ca_certificate = /etc/my ca.pem" in lines
    assert "s3cr%t" not in client.fetch_script(own, Path("/"))


@pytest.mark.parametrize(
    "before",
    [
        "",
        "[gentoo]\nsync-uri = x\n",
        "[gentoo]\nsync-uri = x",
        "# mine\n[cloche]\nsync-uri = old\n\n[gentoo]\nsync-uri = x\n",
        "[gentoo]\nsync-uri = x\n\n[cloche]\nsync-uri = old",
        "[cloche]\nsync-uri = old\n\n# mine\n[gentoo]\nsync-uri = x\n",
    ],
)
def test_other_entries_stay_as_they_are(before: str) -> None:
    section = client.binrepos_section(ENROLMENT, 10)
    after = client.with_section(before, section)
    assert client.with_section(after, section) == after
    assert read(after)["cloche"]["priority"] == "10"
    assert ("gentoo" in read(after)) == ("gentoo" in before)
    assert ("# mine" in after) == ("# mine" in before)


def test_a_single_binrepos_conf_gets_the_entry_and_loses_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert client.binrepos_file(tmp_path) == tmp_path / "binrepos.conf/cloche.conf"
    (tmp_path / "binrepos.conf").write_text("[gentoo]\nsync-uri = x\n")
    path = client.binrepos_file(tmp_path)
    monkeypatch.setattr(client, "FETCH", tmp_path / "fetch.sh")
    monkeypatch.setattr(client, "WGETRC", tmp_path / "wgetrc")
    client.write_binrepos(path, ENROLMENT, 10, Path("/"))
    assert set(read(path.read_text()).sections()) == {"gentoo", "cloche"}
    assert stat.S_IMODE((tmp_path / "wgetrc").stat().st_mode) == 0o640
    client.remove_binrepos(path)
    assert path.read_text() == "[gentoo]\nsync-uri = x\n"
    path.write_text(client.binrepos_section(ENROLMENT, 10))
    client.remove_binrepos(path)
    assert not path.exists()


def test_a_file_is_replaced_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    monkeypatch.setattr(client.os, "fsync", lambda descriptor: os.open(tmp_path / "none", 0))
    with pytest.raises(FileNotFoundError):
        client.write_file(path, "new", 0o600)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_damaged_enrolment_is_an_answer(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for text in ("", "[]", "{}", '{"server": 1}', '{"unknown": 1}'):
        path.write_text(text)
        with pytest.raises(client.Problem, match="is damaged"):
            client.load_enrolment(path)


def test_what_is_remembered_is_of_one_enrolment_only(tmp_path: Path) -> None:
    path = tmp_path / "cache/state.json"
    packages = {"a/b-1": {"SLOT": "0"}}
    memory = client.Memory(packages, {"a/b-1": 5}, {"x": "y"})
    client.save_state(path, ENROLMENT, {"packages": packages}, memory)
    assert client.load_state(path, ENROLMENT) == client.State({"packages": packages}, memory)
    other = client.replace(ENROLMENT, target="other")
    assert client.load_state(path, other) == client.State()
    path.write_text("{")
    assert client.load_state(path, ENROLMENT) == client.State()


@pytest.mark.real
def test_portage_trusts_what_the_services_key_signs(ground: Path) -> None:
    """The command is BINPKG_GPG_VERIFY_BASE_COMMAND, run as GPG_VERIFY_USER_DROP."""
    signer, home = ground / "signer", ground / "etc-portage/gnupg"
    signer.mkdir(mode=0o700)
    gpg = ["gpg", "--homedir", str(signer), "--batch", "--quiet", "--passphrase", ""]
    subprocess.run([*gpg, "--quick-gen-key", "Service", "ed25519", "sign", "never"], check=True)
    key = subprocess.run([*gpg, "--armor", "--export"], capture_output=True, text=True, check=True)
    text, signature = ground / "text", ground / "text.asc"
    text.write_text("package")
    subprocess.run([*gpg, "--armor", "-o", signature, "--detach-sign", text], check=True)
    subprocess.run(["gpgconf", "--homedir", str(signer), "--kill", "all"], check=True)
    for _ in range(2):
        client.trust(key.stdout, home)
    as_nobody = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
    done = subprocess.run(
        [*(as_nobody if os.geteuid() == 0 else []), "gpg", "--verify", "--batch", "--no-tty",
         "--no-auto-check-trustdb", "--status-fd", "2", "--homedir", home, signature, text],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "[GNUPG:] GOODSIG" in done.stderr
    assert "[GNUPG:] TRUST_ULTIMATE" in done.stderr


def test_what_is_not_a_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(client.Problem):
        client.trust("no key", tmp_path / "gnupg")


def test_only_primary_keys_are_trusted() -> None:
    colons = (
        "pub:-:255:22:AAAA:1::::::::::0:\nfpr:::::::::PRIMARY:\nuid:-::::1::X::Service::::::::::0:\n"
        "sub:-:255:18:BBBB:1::::::::::0:\nfpr:::::::::SUBKEY:\npub:x\nfpr:::::::::SECOND:\n"
    )
    assert client.primary_fingerprints(colons) == ["PRIMARY", "SECOND"]
