"""TLS by the service itself, and nginx before it, configured as docs/service.md says."""

from __future__ import annotations

import datetime
import grp
import ipaddress
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.service.serving import (
    Server,
    add_package,
    add_target,
    served,
    server_of,
    written_project,
)
from tests.support import ROOT, cannot

DATA = os.urandom(3 << 20)


def certificate(room: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that vouches for itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "cloche")])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    plain = serialization.NoEncryption()
    (room / "cert.pem").write_bytes(made.public_bytes(pem))
    (room / "key.pem").write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    return room / "cert.pem", room / "key.pem"


def test_the_service_itself_does_tls(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)
    words = ("--tls-cert", str(cert), "--tls-key", str(key))
    with served(server_of(written_project(tmp_path), *words)) as server:
        assert server.url.startswith("https://127.0.0.1:")
        answer = requests.post(
            f"{server.url}/login", data={"token": server.admin}, verify=cert, allow_redirects=False
        )
        assert "; secure" in answer.headers["set-cookie"].lower()
        with pytest.raises(requests.exceptions.SSLError):
            requests.get(f"{server.url}/health")


def test_a_tls_handshake_has_the_time_of_a_request(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)
    words = ("--limit", "headers=1", "--tls-cert", str(cert), "--tls-key", str(key))
    with served(server_of(written_project(tmp_path), *words)) as server:
        assert server.ask("GET", "/health", verify=str(cert)).status_code == 200
        port = int(server.url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), 30) as sock:
            began = time.monotonic()
            assert sock.recv(1) == b""
            assert 0.5 < time.monotonic() - began < 60


def test_a_wrong_key_is_one_line(tmp_path: Path) -> None:
    cert, _ = certificate(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    _, key = certificate(other)
    server = server_of(written_project(tmp_path), "--tls-cert", str(cert), "--tls-key", str(key))
    done = subprocess.run(
        server.command, cwd=server.place, env=server.environment, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("cloche: ")
    assert "TLS" in done.stderr


def configured(room: Path, server: Server, port: int) -> Path:
    """The configuration in docs/service.md, with the addresses of this test around it."""
    cert, key = certificate(room)
    text = (ROOT / "docs/service.md").read_text()
    (block,) = re.findall(r"```nginx\n(.*?)```", text, re.DOTALL)
    for old, new in {
        "listen 443 ssl;": f"listen 127.0.0.1:{port} ssl;",
        "/etc/ssl/cloche.pem": str(cert),
        "/etc/ssl/private/cloche.key": str(key),
        "http://127.0.0.1:8080": server.url,
        "/srv/cloche-pool/": f"{room}/pool/",
    }.items():
        assert old in block
        block = block.replace(old, new)
    places = "".join(
        f"{name}_temp_path {room}/{name};\n"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    file = room / "nginx.conf"
    file.write_text(
        f"daemon off; user www-data; pid {room}/nginx.pid; error_log {room}/error.log;\n"
        f"events {{}}\nhttp {{\naccess_log off;\n{places}{block}}}\n"
    )
    return file


@contextmanager
def pool_for_nginx(server: Server) -> Iterator[Path]:
    """A directory that nginx's user may enter, with the pool as docs/service.md has it."""
    try:
        group = grp.getgrnam("www-data").gr_gid
    except KeyError:
        cannot("www-data: no such group")
    room = Path(tempfile.mkdtemp(prefix="cloche-nginx-"))
    room.chmod(0o755)
    pool = room / "pool"
    pool.mkdir()
    os.chown(pool, -1, group)
    pool.chmod(0o2750)
    server.state.pool.rmdir()
    server.state.pool.symlink_to(pool)
    yield room
    shutil.rmtree(room)


@pytest.fixture
def proxied(tmp_path: Path) -> Iterator[tuple[Server, str, Path]]:
    """A server, the address of nginx before it, and nginx's certificate."""
    nginx = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if nginx is None:
        cannot("nginx: not installed")
    if os.geteuid() != 0:
        cannot("nginx needs root to be root's")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    made = server_of(written_project(tmp_path), "--accel", "/pool/")
    with pool_for_nginx(made) as room, served(made) as server:
        file = configured(room, server, port)
        process = subprocess.Popen([nginx, "-c", file, "-p", room])
        try:
            for _ in range(200):
                with socket.socket() as tried:
                    if tried.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.02)
            yield server, f"https://127.0.0.1:{port}", room / "cert.pem"
        finally:
            process.terminate()
            process.wait(20)


def test_nginx_sends_packages_and_keeps_them_from_others(
    proxied: tuple[Server, str, Path],
) -> None:
    server, url, cert = proxied
    own, other = add_target(server), add_target(server, "1" * 12, name="other")
    path = add_package(server, own, "app-misc/tree-1", DATA)
    address = f"{url}/t/{own['id']}/{path}"
    who = (own["id"], own["token"])
    whole = requests.get(address, auth=who, verify=cert)
    assert (whole.status_code, whole.content == DATA) == (200, True)
    assert "x-accel-redirect" not in whole.headers
    part = requests.get(address, auth=who, verify=cert, headers={"Range": "bytes=1000-1999"})
    assert (part.status_code, part.content) == (206, DATA[1000:2000])
    for wrong in (None, (other["id"], other["token"])):
        refused = requests.get(address, auth=wrong, verify=cert)
        assert refused.status_code == (401 if wrong is None else 404)
    assert requests.get(f"{url}/pool/{path}", auth=who, verify=cert).status_code == 404
    direct = requests.get(f"{server.url}/t/{own['id']}/{path}", auth=who)
    assert direct.content == DATA, "nginx would send it, and is not there"
    assert requests.get(f"{url}/t/{own['id']}/Packages", auth=who, verify=cert).ok


def test_pages_and_events_go_through_nginx(proxied: tuple[Server, str, Path]) -> None:
    server, url, cert = proxied
    target = add_target(server)
    session = requests.Session()
    session.trust_env = False  # else $REQUESTS_CA_BUNDLE counts instead
    session.verify = str(cert)
    entered = session.post(
        f"{url}/login",
        data={"token": target["token"], "next": "/targets"},
        headers={"Origin": url, "Sec-Fetch-Site": "same-origin"},
    )
    assert (entered.status_code, entered.url) == (200, f"{url}/targets")
    (cookie,) = session.cookies
    assert cookie.secure  # nginx says that it was https
    asked = session.post(f"{url}/api/v1/targets/{target['id']}/wants?want=app-misc/x")
    assert asked.status_code == 202, asked.text
    # No seed is made here, so the build fails, and its events end.
    with session.get(url + asked.json()["events"], stream=True, timeout=60) as answer:
        lines = [line for line in answer.iter_lines() if line.startswith(b"data: ")]
    assert b'"event":"end"' in lines[-1]
