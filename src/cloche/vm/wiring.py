"""The protocol between the supervisor outside and the agent inside of a virtual machine.

They exchange JSON lines over the port `CONTROL`: the agent says hello; the supervisor answers with
`Instructions`; the agent reports that the command has started, or why not, and later how it ended,
with the number of bytes that it sent through each port. While a terminal is open, the supervisor
sends its size whenever it changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

CONTROL = "control"
TAG = "cloche"  # of the shared directory
ROOT = "/root"  # where the agent mounts it
MODULES = "/modules"  # kernel modules in the initramfs, named so that they load in order

IN, OUT = "in", "out"
TERMINAL = ("typed", "shown")  # ports of a terminal, from and to the outside

# The user-mode network of QEMU: -netdev user's defaults. Connections to `SOCKETS` go to sockets of
# the host, which are bound into the sandbox: a port from `FIRST` on for each.
ADDRESS, NETMASK, GATEWAY = "10.0.2.15", "255.255.255.0", "10.0.2.2"
SOCKETS, FIRST = "10.0.2.100", 1024


@dataclass(frozen=True, slots=True)
class Instructions:
    """What the agent has to do.

    ``request`` is a request as `wire` packs it, whose lower directory is the shared one.
    ``streams`` names the port of each of its descriptors; None is ``/dev/null``. ``ports`` has the
    direction of each such port, seen from the command. ``size`` is the terminal's, as rows and
    columns, where there is one. ``sockets`` has the port at `SOCKETS` for each bind of a socket, by
    its target.
    """

    request: str
    network: bool
    streams: tuple[str | None, ...]
    ports: dict[str, str]
    size: tuple[int, int] | None = None
    sockets: Mapping[str, int] = field(default_factory=dict)


def socket_path(port: int) -> str:
    """The path inside the machine of a port's socket."""
    return f"/socket-{port}"
