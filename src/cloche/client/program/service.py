"""Requests to the service: TLS, repetitions, and answers that are not trusted."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import http.client
import json
import re
import socket
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cloche.client.program.description import encode
from cloche.client.program.problem import PROGRAM, Problem
from cloche.client.program.text import warn

TIMEOUT = 60.0  # seconds without a byte
URL = re.compile(r"[!-~]+")
WORD = re.compile(r"[\w.~+=-]{1,200}", re.ASCII)  # an id or a token: they get into files
GONE = (401, 403, 404, 410)  # statuses by which the service no longer knows this machine
AWAY = (502, 503, 504)  # statuses of a service that may be back soon
LONGEST_PAUSE = 60.0  # seconds that it may ask for
PATIENCE = 40  # failures in a row, about ten minutes
WAITS = (1, 2, 4, 8, 15)  # seconds before each repetition
LARGEST_ANSWER = 64 << 20
LARGEST_MESSAGE = 16 << 20
LARGEST_PROBLEM = 1 << 20
LENGTH = re.compile(r"[0-9]{1,18}")


class Refusal(Problem):
    """The service's own answer, with its HTTP status.

    ``later`` are the seconds after which it may be asked again; None: this is final.
    """

    def __init__(self, code: int, what: str, todo: str, detail: str, later: float | None) -> None:
        super().__init__(what, todo, detail=detail, status=2 if code in (400, 404, 413, 422) else 1)
        self.code, self.later = code, later


class Unreachable(Problem):
    """The service does not answer; it may do so later."""


@dataclass(frozen=True)
class Service:
    """The service, and the token for it: if it is that of a ``target``, this machine's own."""

    server: str
    token: str = ""
    ca: str = ""
    target: str = ""

    def open(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """Send a request; return the response, a file. Raises Refusal, Unreachable, Problem."""
        request = urllib.request.Request(self.server + path, method=method)  # noqa: S310 - see server_url
        for name, value in (headers or {}).items():
            request.add_header(name, value)
        if self.token:
            # a redirection to another host must not take it along
            request.add_unredirected_header("Authorization", f"Bearer {self.token}")
        if body:
            request.data = body
        try:
            return self._opener().open(request, timeout=TIMEOUT)
        except urllib.error.HTTPError as error:
            body = b""
            with contextlib.suppress(OSError, http.client.HTTPException), error:
                body = error.read(LARGEST_PROBLEM)
            refused = refusal(error.code, error.headers, body)
            if error.code == 401 and self.target:
                refused.todo = renewal(self.server, self.target)
            raise refused from None
        except ssl.SSLCertVerificationError as error:
            raise untrusted(self.server, error) from None
        except urllib.error.URLError as error:
            if isinstance(error.reason, ssl.SSLCertVerificationError):
                raise untrusted(self.server, error.reason) from None
            raise unreachable(self.server, error.reason) from None
        except (OSError, http.client.HTTPException) as error:
            raise unreachable(self.server, error) from None

    def call(
        self, method: str, path: str, data: Any = None, *, repeat: bool = True
    ) -> dict[str, Any]:
        """Send and receive JSON; again, if the service is away for a moment. Raises Problem."""
        headers = {"Accept": "application/json", "Accept-Encoding": "gzip"}
        body = b""
        if data is not None:
            body = gzip.compress(encode(data), 6)
            headers.update({"Content-Type": "application/json", "Content-Encoding": "gzip"})
        for wait in (*WAITS, None):
            try:
                with self.open(method, path, body, headers) as response:
                    return decoded(response)
            except (OSError, http.client.HTTPException) as error:
                problem: Problem = unreachable(self.server, error)
            except Unreachable as error:
                problem = error
            except Refusal as error:
                if error.later is None:
                    raise
                problem = error
            if wait is None or not repeat:
                raise problem
            if isinstance(problem, Unreachable) and wait == WAITS[0]:
                warn([f"{problem.what}; trying again for {sum(WAITS)} s"])
            time.sleep(max(wait, getattr(problem, "later", 0)))
        raise AssertionError

    def _opener(self) -> urllib.request.OpenerDirector:
        if not self.server.startswith("https:"):
            return urllib.request.build_opener()  # to read the authorities takes 40 ms
        return urllib.request.build_opener(
            urllib.request.HTTPSHandler(context=tls_context(self.ca))
        )


def tls_context(ca: str) -> ssl.SSLContext:
    """Verifies the service's certificate: by the system's authorities, or those of a file."""
    try:
        context = ssl.create_default_context(cafile=ca or None)
    except (OSError, ssl.SSLError) as error:
        raise Problem(f"{ca}: {error}", "give a file with certificates in PEM", status=2) from None
    if ca:  # it may hold the certificate of the service itself
        context.verify_flags |= getattr(ssl, "VERIFY_X509_PARTIAL_CHAIN", 0)
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def decoded(response: Any) -> dict[str, Any]:
    """The JSON object of a response. Raises Problem, OSError, HTTPException."""
    if response.status == 204:
        return {}
    content = response.read(LARGEST_ANSWER + 1)
    length = response.headers.get("Content-Length", "")
    if len(content) <= LARGEST_ANSWER and LENGTH.fullmatch(length) and int(length) != len(content):
        raise http.client.IncompleteRead(content, int(length) - len(content))
    if response.headers.get("Content-Encoding") == "gzip":
        content = unpacked(content)
    if len(content) > LARGEST_ANSWER:
        raise Problem(f"the answer is larger than {LARGEST_ANSWER >> 20} MiB", "check the URL")
    found = json_in(content)
    if not isinstance(found, dict):
        raise not_ours()
    return as_expected(found)


def unpacked(content: bytes) -> bytes:
    """What was compressed by gzip, at most one byte more than is taken. Raises OSError."""
    unpacker = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        found = unpacker.decompress(content, LARGEST_ANSWER + 1)
    except zlib.error as error:
        raise OSError(f"the answer is damaged: {error}") from None
    if not unpacker.eof and len(found) <= LARGEST_ANSWER:
        raise OSError("the answer is cut")
    return found


def json_in(content: str | bytes) -> Any:
    """The value of a JSON text; None if it is none that can be read."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


#: What the service's answers consist of. Other fields, and those that are null, do not matter.
SHAPE: Mapping[str, Any] = {
    "atoms": [str], "build": str, "builds": [{}], "cpv": str, "detail": str, "digest": str,
    "error": {}, "events": str, "id": str, "level": str, "name": str, "notes": [str],
    "position": int, "public_key": str, "refused": [{}], "role": str, "state": str, "target": str,
    "todo": str, "token": str, "what": str, "words": str,
}  # fmt: skip


def as_expected(found: dict[str, Any]) -> dict[str, Any]:
    """An answer whose known fields are what they should be. Raises Problem."""
    for name, value in found.items():
        shape = SHAPE.get(name)
        if name == "packages":  # of a target a number, of a build a list
            shape = int if isinstance(value, int) else [{}]
        if shape is None or value is None:
            continue
        kind = shape[0] if isinstance(shape, list) else shape
        each = value if isinstance(shape, list) and isinstance(value, list) else [value]
        if isinstance(shape, list) is not isinstance(value, list):
            raise not_ours()
        for one in each:
            if not isinstance(one, dict if kind == {} else kind):
                raise not_ours()
            if kind == {}:
                as_expected(one)
    return found


def not_ours() -> Problem:
    """What answers is something else."""
    return Problem("the answer is not that of a cloche service", "check its URL")


def refusal(code: int, headers: Any, body: bytes) -> Refusal:
    """An answer of the service that is an error, as a problem document (RFC 9457) or not."""
    found = json_in(body) if "json" in headers.get("Content-Type", "") else None
    if not isinstance(found, dict):
        found = {}
    what = found.get("what") or found.get("title") or http.client.responses.get(code, "error")
    said = f"the service says: {what}" if found else f"HTTP status {code}: {what}"
    pause = headers.get("Retry-After", "")
    later = float(pause) if pause.isdecimal() and len(pause) < 9 else 0.0 if code in AWAY else None
    if later is not None and later > LONGEST_PAUSE:
        later = None
    return Refusal(code, said, str(found.get("todo") or ""), str(found.get("detail") or ""), later)


def renewal(server: str, target: str) -> str:
    """How a machine gets another token, in the place of one that the service does not take."""
    made = f"`cloche serve token add NAME --target {target}` there makes a new one"
    return f"{made}; then: {PROGRAM} enrol --server {server} --token-file FILE"


def unreachable(server: str, reason: object) -> Unreachable:
    """The service cannot be reached. An error of the system is shown by its text alone."""
    said = getattr(reason, "strerror", None) or reason
    return Unreachable(f"{server} does not answer: {said}", "try again later", status=3)


def untrusted(server: str, error: ssl.SSLCertVerificationError) -> Problem:
    """The service's certificate is not valid here."""
    what = f"the certificate of {server} is not trusted: {error.verify_message}"
    return Problem(what, "enrol with --ca FILE or --fingerprint SHA256", status=3)


def server_url(text: str) -> str:
    """The address of a service without a slash at its end. Raises Problem."""
    try:
        parts = urllib.parse.urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        parts, host, port = urllib.parse.urlsplit(""), "", None
    if parts.scheme not in ("http", "https") or not host or parts.username or port == 0:
        what = "not the URL of a service"
        raise Problem(what, "write it as https://HOST[:PORT]", status=2)
    if not URL.fullmatch(text):
        raise Problem("the URL has other than ASCII characters", "write them as %XX", status=2)
    return f"{parts.scheme}://{parts.netloc}{parts.path}".rstrip("/")


def is_exposed(server: str) -> bool:
    """Whether what goes to a service can be read and changed on its way."""
    parts = urllib.parse.urlsplit(server)
    host = parts.hostname or ""
    near = host in ("localhost", "::1") or re.fullmatch(r"127(\.\d{1,3}){3}", host)
    return parts.scheme == "http" and not near


def fetch_certificate(server: str, fingerprint: str) -> str:
    """The certificate of a service, if it has this SHA-256. Raises Problem."""
    parts = urllib.parse.urlsplit(server)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    host = parts.hostname or ""
    try:
        plain = socket.create_connection((host, parts.port or 443), TIMEOUT)
        with plain, context.wrap_socket(plain, server_hostname=host) as connection:
            certificate = connection.getpeercert(binary_form=True) or b""
    except OSError as error:
        raise unreachable(server, error) from None
    found = hashlib.sha256(certificate).hexdigest()
    if found != fingerprint.replace(":", "").lower():
        what = f"the certificate of {server} has another fingerprint: {found}"
        raise Problem(what, "do not trust it unless you know why it changed", status=1)
    return ssl.DER_cert_to_PEM_cert(certificate)
