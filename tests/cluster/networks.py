"""Hosts as network namespaces on one switch, and the certificates of a cluster. Root alone can."""

from __future__ import annotations

import contextlib
import datetime
import secrets
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY = datetime.timedelta(days=1)


@dataclass(frozen=True)
class Network:
    """Hosts by their names, with addresses 10.99.7.1 and up (of no real network)."""

    id: str
    hosts: tuple[str, ...]

    def address(self, host: str) -> str:
        """The address of a host."""
        return f"10.99.7.{self.hosts.index(host) + 1}"

    def inside(self, host: str) -> tuple[str, ...]:
        """What runs a command on a host."""
        return ("ip", "netns", "exec", f"{self.id}-{host}")

    def cut(self, host: str) -> None:
        """Lose every packet from and to a host; nobody is told."""
        _ip("-n", f"{self.id}-switch", "link", "set", f"to-{host}", "down")

    def heal(self, host: str) -> None:
        """Let the packets through again."""
        _ip("-n", f"{self.id}-switch", "link", "set", f"to-{host}", "up")


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


@contextlib.contextmanager
def network(*hosts: str) -> Iterator[Network]:
    """Make a network for a block."""
    made = Network(f"cl{secrets.token_hex(3)}", hosts)
    spaces = [f"{made.id}-{name}" for name in (*hosts, "switch")]
    switch = spaces[-1]
    try:
        for space in spaces:
            _ip("netns", "add", space)
            _ip("-n", space, "link", "set", "lo", "up")
        _ip("-n", switch, "link", "add", "bridge", "type", "bridge")
        _ip("-n", switch, "link", "set", "bridge", "up")
        for host, space in zip(hosts, spaces, strict=False):
            port = f"to-{host}"
            words = ("type", "veth", "peer", "name", "eth0", "netns", space)
            _ip("-n", switch, "link", "add", port, *words)
            _ip("-n", switch, "link", "set", port, "master", "bridge", "up")
            _ip("-n", space, "addr", "add", f"{made.address(host)}/24", "dev", "eth0")
            _ip("-n", space, "link", "set", "eth0", "up")
            _ip("-n", space, "route", "add", "default", "dev", "eth0")
        yield made
    finally:
        for space in spaces:
            subprocess.run(["ip", "netns", "del", space], capture_output=True, check=False)


def certificates(room: Path, name: str = "ca") -> tuple[Path, Path, Path]:
    """An authority, and a host's certificate with its key: the files, for the options."""
    authority, host = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    files = tuple(room / f"{name}{end}" for end in (".pem", "-host.pem", "-host.key"))
    for key, subject, file in (
        (authority, issuer, files[0]),
        (host, x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{name}'s host")]), files[1]),
    ):
        now = datetime.datetime.now(datetime.UTC)
        ours = x509.BasicConstraints(ca=key is authority, path_length=None)
        made = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - DAY)
            .not_valid_after(now + DAY)
            .add_extension(ours, critical=True)
            .sign(authority, hashes.SHA256())
        )
        file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    text = host.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    files[2].write_bytes(text)
    return files[0], files[1], files[2]


def tls_words(files: tuple[Path, Path, Path]) -> tuple[str, ...]:
    """The options of cloche for these files."""
    names = ("--tls-ca", "--tls-cert", "--tls-key")
    return tuple(
        word for name, file in zip(names, files, strict=True) for word in (name, str(file))
    )
