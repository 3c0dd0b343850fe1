"""How the client talks to a service: slow, restarted, in front of a proxy, or another one."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import resource
import socket
import ssl
import subprocess
import threading
import zlib
from pathlib import Path

import pytest
from scripted import serving
from tests.client.handed_out import client


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "WAITS", (0, 0, 0))
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for the loopback, with its key."""
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-nodes", "-subj", "/CN=here", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2",
             "-keyout", "-", "-out", "-"]  # fmt: skip
    path.write_bytes(subprocess.run(words, check=True, capture_output=True).stdout)
    return path


def test_a_body_is_compressed_and_the_token_in_a_header() -> None:
    with serving() as script:
        client.Service(script.address, "s3cret").call("POST", "/api/v1/targets/x/wants", {"a": "ü"})
        ((headers, body),) = script.requests("POST")
    assert json.loads(gzip.decompress(body)) == {"a": "ü"}
    assert headers["Authorization"] == "Bearer s3cret"
    assert "s3cret" not in "".join(path for _, path, _, _ in script.asked)


def test_a_token_does_not_follow_a_redirection() -> None:
    with serving() as script, serving() as other:
        script.moved_to = other.address
        client.Service(script.address, "s3cret").call("GET", "/api/v1/builds/b1")
        ((headers, _),) = script.requests("GET")
        assert "Authorization" in headers
        ((headers, _),) = other.requests("GET")
        assert "Authorization" not in headers


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_service_that_is_away_for_a_moment_is_asked_again(status: int) -> None:
    with serving() as script:
        script.statuses = [status, status]
        found = client.Service(script.address).call("GET", "/api/v1/builds/b1")
        assert found["id"] == "b1"
        assert len(script.asked) == 3


@pytest.mark.parametrize(
    ("code", "pause", "later"),
    [(429, "3", 3.0), (503, "3", 3.0), (503, "", 0.0), (429, "", None), (429, "3600", None),
     (503, "3600", None), (429, "Wed, 04 Nov 2026 00:00:01 GMT", None), (403, "", None)],
)  # fmt: skip
def test_a_pause_is_as_long_as_the_service_asks_for(
    code: int, pause: str, later: float | None
) -> None:
    headers = {"Retry-After": pause} if pause else {}
    assert client.refusal(code, headers, b"").later == later


def test_it_is_not_asked_for_ever() -> None:
    with serving() as script:
        script.statuses = [503] * 9
        with pytest.raises(client.Refusal, match="not now"):
            client.Service(script.address).call("GET", "/api/v1/builds/b1")
        assert len(script.asked) == 4


def test_enrolment_is_not_repeated_since_it_makes_a_target() -> None:
    with serving() as script:
        script.statuses = [503]
        with pytest.raises(client.Refusal):
            client.Service(script.address).call("POST", "/api/v1/targets", {}, repeat=False)
        assert len(script.asked) == 1


def test_a_problem_document_becomes_the_clients_words() -> None:
    with serving() as script:
        script.statuses = [422]
        with pytest.raises(client.Refusal) as caught:
            client.Service(script.address).call("GET", "/")
    problem = caught.value
    assert (problem.code, problem.what, problem.todo) == (422, "the service says: not now", "wait")
    assert problem.status == 2


@pytest.mark.parametrize(
    ("kind", "body"),
    [("text/html", b"<h1>Bad gateway"), ("application/json", b"{"), ("application/json", b"[1]"),
     ("application/problem+json", b"\xff")],
)  # fmt: skip
def test_what_is_no_problem_document_is_named_by_its_status(kind: str, body: bytes) -> None:
    assert client.refusal(403, {"Content-Type": kind}, body).what == "HTTP status 403: Forbidden"


def answering(text: bytes) -> str:
    """A server that sends these bytes to one client, and closes."""
    server = socket.create_server(("127.0.0.1", 0))

    def run() -> None:
        with server:
            for _ in range(4):
                connection, _ = server.accept()
                with connection:
                    connection.recv(10_000)
                    connection.sendall(text)

    threading.Thread(target=run, daemon=True).start()
    return f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b\x08\x00",
    ],
)
def test_a_cut_answer_is_a_service_that_does_not_answer(text: bytes) -> None:
    with pytest.raises(client.Unreachable, match="does not answer: ") as caught:
        client.Service(answering(text)).call("GET", "/")
    assert caught.value.status == 3


@pytest.mark.parametrize("body", [b"hello", b"[1]", b"null"])
def test_another_answer_is_that_of_another_service(body: bytes) -> None:
    server = answering(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
    with pytest.raises(client.Problem, match="not that of a cloche service"):
        client.Service(server).call("GET", "/")


@pytest.mark.parametrize(
    "text", ["host", "ftp://host", "http://", "https://me:secret@host", "file:///etc/passwd"]
)
def test_only_the_url_of_a_service_is_taken(text: str) -> None:
    with pytest.raises(client.Problem):
        client.server_url(text)
    assert client.server_url("https://host:8000/sub/") == "https://host:8000/sub"


def test_a_certificate_that_nobody_vouches_for_is_refused(certificate: Path) -> None:
    with serving(certificate) as script:
        with pytest.raises(client.Problem, match="is not trusted: ") as caught:
            client.Service(script.address).call("GET", "/api/v1/builds/b1")
        assert "--ca FILE" in caught.value.todo
        service = client.Service(script.address, ca=str(certificate))
        assert service.call("GET", "/api/v1/builds/b1")["id"] == "b1"


def test_a_certificate_is_taken_by_its_fingerprint(certificate: Path, tmp_path: Path) -> None:
    words = ["openssl", "x509", "-in", certificate, "-noout", "-fingerprint", "-sha256"]
    told = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    fingerprint = told.strip().partition("=")[2]
    with serving(certificate) as script:
        pem = client.fetch_certificate(script.address, fingerprint)
        with pytest.raises(client.Problem, match="another fingerprint"):
            client.fetch_certificate(script.address, hashlib.sha256().hexdigest())
        (tmp_path / "ca.pem").write_text(pem)
        service = client.Service(script.address, ca=str(tmp_path / "ca.pem"))
        assert service.call("GET", "/api/v1/builds/b1")["id"] == "b1"


def test_a_file_without_certificates_is_named(tmp_path: Path) -> None:
    with pytest.raises(client.Problem, match=r"ca\.pem: "):
        client.tls_context(str(tmp_path / "ca.pem"))
    assert client.tls_context("").verify_mode == ssl.CERT_REQUIRED


class Answer(io.BytesIO):
    """A response with a body."""

    status = 200

    def __init__(self, body: bytes, **headers: str) -> None:
        super().__init__(body)
        self.headers = headers


def test_a_bomb_is_not_unpacked() -> None:
    packer, piece = zlib.compressobj(9, zlib.DEFLATED, 31), b" " * (16 << 20)
    bomb = b"".join(packer.compress(piece) for _ in range(64)) + packer.flush()
    assert len(bomb) < client.LARGEST_ANSWER
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(client.Problem, match="larger than 64 MiB"):
        client.decoded(Answer(bomb, **{"Content-Encoding": "gzip"}))
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown << 10 < 2 * client.LARGEST_ANSWER


@pytest.mark.parametrize(
    "text",
    ["[]", "{", "null", "[" * 100_000, '{"packages": [1]}', '{"packages": "x"}', '{"error": 1}',
     '{"builds": {}}', '{"builds": [{"atoms": [1]}]}', '{"token": 5}', '{"events": []}'],
)  # fmt: skip
def test_an_odd_answer_is_one_line(text: str) -> None:
    with pytest.raises(client.Problem, match="not that of a cloche service"):
        client.decoded(Answer(text.encode()))


def test_an_odd_length_is_not_believed() -> None:
    for length in ("x", "-1", "²", "9" * 5000):
        assert client.decoded(Answer(b'{"id": "a"}', **{"Content-Length": length})) == {"id": "a"}


@pytest.mark.parametrize("text", ["https://[", "https://h:x", "https://h:99999", "https://hö st"])
def test_an_odd_address_is_one_line(text: str) -> None:
    with pytest.raises(client.Problem):
        client.server_url(text)


def test_a_token_cannot_be_a_header_of_its_own() -> None:
    for text in ("a\nb: c", "ä", "a b", "x" * 201):
        with pytest.raises(client.Problem, match="not a token"):
            client.checked_token(text)


@pytest.mark.parametrize("target", ["a/b", "x\n[other]", "", "x" * 201])
def test_an_id_from_the_service_cannot_become_another_setting(target: str) -> None:
    assert client.WORD.fullmatch(target) is None


def test_a_service_that_says_nothing_at_the_handshake_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(client, "TIMEOUT", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        address = f"https://127.0.0.1:{mute.getsockname()[1]}"
        with pytest.raises(client.Unreachable, match="timed out"):
            client.fetch_certificate(address, "00")


@pytest.mark.parametrize(
    ("server", "exposed"),
    [("http://build", True), ("http://127.0.0.1.example.org", True), ("https://build", False),
     ("http://127.0.0.1:80", False), ("http://[::1]:80", False), ("http://localhost", False)],
)  # fmt: skip
def test_only_this_host_is_reached_without_encryption(server: str, exposed: bool) -> None:
    assert client.is_exposed(server) is exposed


def test_a_closed_port_is_told_without_a_number_of_an_error() -> None:
    with socket.socket() as bound:  # bound and not listening: refused
        bound.bind(("127.0.0.1", 0))
        server = f"http://127.0.0.1:{bound.getsockname()[1]}"
        with pytest.raises(client.Unreachable) as caught:
            client.Service(server).call("GET", "/")
    assert caught.value.what == f"{server} does not answer: Connection refused"
