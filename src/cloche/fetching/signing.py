"""Signs files with the user's gpg, which asks its agent for the key.

gpg is called by a process of its own, outside of every sandbox and of the user namespace that
cloche enters, because it finds its agent's socket by the user's ID. cloche itself reads no key.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from cloche.errors import ClocheError, Exit

_MOST = 1 << 16  # bytes of a request or an answer


class Signer:
    """Signs with one key; see `opened_signer`. Safe to use from several threads."""

    def __init__(self, key: str, sock: socket.socket) -> None:
        self.key = key
        self._sock = sock
        self._lock = threading.Lock()

    def detached(self, file: Path, target: Path) -> None:
        """Write an armored detached signature (RFC 9580, 10.4) of a file. Raises ClocheError."""
        self._ask("--armor", "--detach-sign", "--output", str(target), "--", str(file))

    def cleartext(self, file: Path, target: Path) -> None:
        """Write a text file with a cleartext signature (RFC 9580, 7). Raises ClocheError."""
        self._ask("--clearsign", "--output", str(target), "--", str(file))

    def check(self) -> None:
        """See that gpg has the secret key, or its agent a token with it. Raises ClocheError."""
        self._ask("--list-secret-keys", "--", self.key, signs=False)

    def _ask(self, *words: str, signs: bool = True) -> None:
        user = ("--local-user", self.key) if signs else ()
        try:
            with self._lock:
                self._sock.send(json.dumps([*user, *words]).encode())
                answer = self._sock.recv(_MOST)
        except ConnectionError:
            answer = b""
        said = json.loads(answer) if answer else {"status": 1, "text": "its process has ended"}
        if said["status"]:
            raise ClocheError(
                f"gpg cannot sign with the key {self.key}: {said['text']}",
                todo="check that `gpg --list-secret-keys` lists it and gpg-agent can unlock it",
                status=Exit.BAD_INPUT if not signs else Exit.FAILED,
            )


@contextmanager
def opened_signer(key: str) -> Iterator[Signer]:
    """Sign with a key for a block: a fingerprint, or another name by which gpg finds it.

    Call it before cloche enters a user namespace, in a process without threads. Raises ClocheError.
    """
    gpg = shutil.which("gpg")
    if gpg is None:
        raise ClocheError("gpg not found", todo="install GnuPG", status=Exit.HOST)
    if key.startswith("-"):
        raise ClocheError(f"“{key}” does not name a key", todo="give its fingerprint")
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            ours.close()
            _serve(theirs, gpg)
            status = 0
        finally:
            os._exit(status)
    theirs.close()
    try:
        signer = Signer(key, ours)
        signer.check()
        yield signer
    finally:
        with suppress(OSError):
            ours.shutdown(socket.SHUT_RDWR)  # a fork of this process may have the descriptor, too
        ours.close()
        os.waitpid(child, 0)


def _serve(sock: socket.socket, gpg: str) -> None:
    """Run gpg for each request until the other side is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a signature in progress is still finished
    while request := sock.recv(_MOST):
        sock.send(json.dumps(_run((gpg, "--batch", "--yes", *json.loads(request)))).encode())


def _run(argv: Sequence[str]) -> dict[str, Any]:
    done = subprocess.run(argv, check=False, capture_output=True, stdin=subprocess.DEVNULL)
    lines = done.stderr.decode(errors="replace").strip().splitlines()
    text = lines[-1].removeprefix("gpg: ") if lines else f"status {done.returncode}"
    return {"status": done.returncode, "text": text[:1000]}
