"""QEMU's monitor (QMP, docs/interop/qmp-spec.rst of QEMU) over a socket that QEMU inherits."""

from __future__ import annotations

import json
import socket
import time
from typing import Any

from cloche.booting.errors import BootError
from cloche.decoding import NOT_DECODABLE
from cloche.errors import Exit

_TIMEOUT = 60.0  # seconds for an answer
_MOST = 1 << 22  # bytes of one line


class Monitor:
    """Commands to a running QEMU. Raises `BootError` where it refuses one or does not answer."""

    def __init__(self, end: socket.socket) -> None:
        self._socket, self._rest, self._greeted = end, b"", False

    def call(self, command: str, **arguments: Any) -> Any:
        """Carry out a command, and return its result."""
        try:
            if not self._greeted:
                self._greeted = True
                self._call("qmp_capabilities", {})
            return self._call(command, arguments)
        except OSError as error:
            raise _failed(f"QEMU does not answer: {error.strerror or error}") from error

    def _call(self, command: str, arguments: dict[str, Any]) -> Any:
        end = time.monotonic() + _TIMEOUT
        line = json.dumps({"execute": command, "arguments": arguments})
        self._socket.settimeout(_TIMEOUT)
        self._socket.sendall(line.encode() + b"\n")
        while True:
            answer = self._line(end)
            if "error" in answer:
                raise _failed(f"QEMU refuses {command}: {answer['error'].get('desc', '')}")
            if "return" in answer:
                return answer["return"]

    def _line(self, end: float) -> dict[str, Any]:
        while b"\n" not in self._rest:
            self._socket.settimeout(max(0.01, end - time.monotonic()))
            part = self._socket.recv(1 << 16)
            if not part or len(self._rest) > _MOST:
                raise _failed("QEMU has ended")
            self._rest += part
        line, _, self._rest = self._rest.partition(b"\n")
        try:
            found = json.loads(line)
        except NOT_DECODABLE:
            found = None
        if not isinstance(found, dict):
            raise _failed("QEMU's answer is malformed")
        return found


def _failed(what: str) -> BootError:
    return BootError(what, status=Exit.FAILED)
