"""The signatures of kernel modules, as openssl and the kernel read them."""

from __future__ import annotations

import re
import struct
import subprocess
from pathlib import Path

import pytest

from cloche.config.errors import ConfigError, Origin
from cloche.config.kernel import Kernel
from cloche.config.kernel_files import ConfigFile
from cloche.config.kernel_signing import Signing
from cloche.config.machine import Machine, Profile
from cloche.config.secrets import Secret
from cloche.errors import Exit
from cloche.output.secrets import reveal
from cloche.output.signature import MAGIC, signer

WHERE = Origin(Path("/p/machines/web.toml"), 7)
MODULE = b"\x7fELF and more\n" * 300


def pair(place: Path, kind: str = "rsa:2048", *more: str) -> Signing:
    """A key and its certificate."""
    key, certificate = place / "modules.key", place / "modules.pem"
    words = ["openssl", "req", "-new", "-x509", "-newkey", kind, *(more or ("-nodes",))]
    words += ["-subj", "/CN=modules", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(words, check=True, capture_output=True)
    file = ConfigFile("kernel/modules.pem", certificate, certificate.read_bytes())
    return Signing(WHERE, Secret(WHERE, file=key, key="key of modules"), file)


def signed(signing: Signing, module: bytes = MODULE) -> bytes:
    assert signing.key.file
    with signer(signing, signing.key.file.read_bytes()) as own:
        own.check()
        return own.signed(module)


def machine(signing: Signing) -> Machine:
    kernel = Kernel(WHERE, signing=signing)
    profile = Profile("own", "default", WHERE)
    return Machine("web", WHERE.file, WHERE.file.parent, "debian", profile, kernel=kernel)


def test_openssl_accepts_a_signature_and_not_of_another_module(tmp_path: Path) -> None:
    signing = pair(tmp_path)
    rest = signed(signing).removesuffix(MAGIC)
    assert rest.startswith(MODULE)
    (length,) = struct.unpack(">I", rest[-4:])
    assert rest[-12:-4] == bytes((0, 0, 2, 0, 0, 0, 0, 0))  # PKEY_ID_PKCS7, and no more
    assert len(rest) == len(MODULE) + length + 12
    (tmp_path / "signature").write_bytes(rest[len(MODULE) : -12])
    words = ["openssl", "cms", "-verify", "-binary", "-inform", "DER", "-noverify"]
    words += ["-in", tmp_path / "signature", "-certfile", signing.certificate.path]
    for content, status in ((MODULE, 0), (MODULE + b"!", 4)):
        (tmp_path / "content").write_bytes(content)
        done = subprocess.run([*words, "-content", tmp_path / "content"], capture_output=True)
        assert done.returncode == status
    told = ["openssl", "cms", "-cmsout", "-print", "-inform", "DER", "-in", tmp_path / "signature"]
    shown = subprocess.run(told, capture_output=True, check=True, text=True).stdout
    assert "sha512" in shown
    assert "certificates:\n      <ABSENT>" in shown
    assert re.search(r"\ssignedAttrs:\s+<ABSENT>", shown)


def test_equal_modules_get_equal_signatures(tmp_path: Path) -> None:
    signing = pair(tmp_path)
    assert signed(signing) == signed(signing)


@pytest.mark.parametrize("how", ["another", "none", "passphrase"])
def test_a_key_that_cannot_be_used_is_one_line_that_shows_none_of_it(
    how: str, tmp_path: Path
) -> None:
    signing = pair(tmp_path)
    before = signing.certificate
    if how == "another":
        signing = Signing(WHERE, pair(tmp_path).key, before)
    if how == "none":
        (tmp_path / "modules.key").write_text("secret of ours\n")
    if how == "passphrase":
        signing = pair(tmp_path, "rsa:2048", "-passout", "pass:1234")
    with pytest.raises(ConfigError) as caught:
        reveal(machine(signing))
    line = str(caught.value)
    assert line.startswith("/p/machines/web.toml:7: ")
    assert "\n" not in line
    assert "secret of ours" not in line
    assert caught.value.status == Exit.BAD_INPUT


def test_a_key_that_is_not_there_is_told_before_anything_is_built(tmp_path: Path) -> None:
    signing = pair(tmp_path)
    (tmp_path / "modules.key").unlink()
    with pytest.raises(ConfigError) as caught:
        reveal(machine(signing))
    assert "modules.key is not there" in str(caught.value)
    assert caught.value.status == Exit.BAD_INPUT


def test_a_command_may_give_the_key(tmp_path: Path) -> None:
    signing = pair(tmp_path)
    key = Secret(WHERE, command=("cat", str(tmp_path / "modules.key")), key="key of modules")
    (found,) = reveal(machine(Signing(WHERE, key, signing.certificate)))
    assert found.content == (tmp_path / "modules.key").read_bytes()
    assert "PRIVATE" not in repr(found)
