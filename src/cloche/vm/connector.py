"""Connects a virtual machine to a socket of the host; QEMU starts it for each connection.

Run by its path, with the socket's path as its argument. Standard input and output are one socket to
the machine.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
from pathlib import Path


def main() -> None:
    """Copy both ways until both have ended."""
    path = Path(sys.argv[1])
    os.chdir(path.parent)  # a socket's address has room for a short name
    machine, server = socket.socket(fileno=0), socket.socket(socket.AF_UNIX)
    server.connect(path.name)
    outward = threading.Thread(target=_copy, args=(machine, server), daemon=True)
    outward.start()
    _copy(server, machine)
    outward.join()


def _copy(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(1 << 16):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        os._exit(1)


if __name__ == "__main__":
    main()
