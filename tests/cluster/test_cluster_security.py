"""Addresses of schedulers, and the files of TLS."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloche.cluster.errors import ClusterError
from cloche.cluster.security import Tls, exposed, full_address, host_of, security_of
from cloche.errors import Exit

FILES = Tls(Path("/ca"), Path("/cert"), Path("/key"))


@pytest.mark.parametrize(
    ("text", "tls", "full"),
    [
        ("build1", Tls(), "tcp://build1:8786"),
        ("build1:99", Tls(), "tcp://build1:99"),
        ("build1:99", FILES, "tls://build1:99"),
        ("tls://192.0.2.1", Tls(), "tls://192.0.2.1:8786"),
        ("[2001:db8::1]:99", Tls(), "tcp://[2001:db8::1]:99"),
    ],
)
def test_an_address_gets_its_scheme_and_port(text: str, tls: Tls, full: str) -> None:
    assert full_address(text, tls) == full


@pytest.mark.parametrize("text", ["", "http://build1", "build1:port", "build1:99999", "a/b", ":9"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ClusterError, match="is not the address") as caught:
        full_address(text, Tls())
    assert caught.value.status == Exit.BAD_INPUT


def test_only_loopback_and_tls_are_safe() -> None:
    assert exposed("tcp://192.0.2.1:1")
    assert not exposed("tls://192.0.2.1:1")
    assert not exposed("tcp://127.0.0.1:1")
    assert host_of("tcp://[::1]:1") == "::1"


def test_tls_needs_all_of_its_files(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match="needs --tls-cert, --tls-key, too"):
        security_of(Tls(ca=tmp_path / "ca"))
    files = [tmp_path / name for name in ("ca", "cert", "key")]
    for file in files[:2]:
        file.write_text("")
    with pytest.raises(ClusterError, match="--tls-key: no such file"):
        security_of(Tls(*files))


def test_the_files_become_options_of_other_processes() -> None:
    words = ("--tls-ca", "/ca", "--tls-cert", "/cert", "--tls-key", "/key")
    assert FILES.words() == words
    assert Tls().words() == ()
