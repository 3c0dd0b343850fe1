"""Setting up network devices: netdevice(7), rtentry of linux/route.h, in6_ifreq of linux/ipv6.h."""

from __future__ import annotations

import contextlib
import fcntl
import socket
import struct

_SIOCADDRT = 0x890B
_SIOCGIFFLAGS = 0x8913
_SIOCSIFFLAGS = 0x8914
_SIOCSIFADDR = 0x8916
_SIOCSIFNETMASK = 0x891C
_IFF_UP = 1
_RTF_UP, _RTF_GATEWAY = 1, 2
_LO = 1  # the index of `lo` in a network namespace


def loopback_up() -> None:
    """Bring up ``lo`` of this network namespace, with additional addresses.

    They are those of Portage's network-sandbox: glibc's getaddrinfo(3) with AI_ADDRCONFIG ignores
    a family that has only the loopback address.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        flags = struct.unpack("16sH14x", fcntl.ioctl(sock, _SIOCGIFFLAGS, _flags(b"lo", 0)))[1]
        fcntl.ioctl(sock, _SIOCSIFFLAGS, _flags(b"lo", flags | _IFF_UP))
        for call, value in ((_SIOCSIFADDR, "10.0.0.1"), (_SIOCSIFNETMASK, "255.0.0.0")):
            fcntl.ioctl(sock, call, struct.pack("16s16s8x", b"lo:0", _address(value)))
    with (
        contextlib.suppress(OSError),  # a kernel without IPv6, or with IPv6 disabled
        socket.socket(socket.AF_INET6, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock,
    ):
        address = socket.inet_pton(socket.AF_INET6, "fd::1")
        fcntl.ioctl(sock, _SIOCSIFADDR, struct.pack("16sIi", address, 8, _LO))


def configure(device: str, address: str, netmask: str, gateway: str) -> None:
    """Give a device an IPv4 address, bring it up, and add a default route through ``gateway``."""
    name = device.encode()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        for call, value in ((_SIOCSIFADDR, address), (_SIOCSIFNETMASK, netmask)):
            fcntl.ioctl(sock, call, struct.pack("16s16s8x", name, _address(value)))
        flags = struct.unpack("16sH14x", fcntl.ioctl(sock, _SIOCGIFFLAGS, _flags(name, 0)))[1]
        fcntl.ioctl(sock, _SIOCSIFFLAGS, _flags(name, flags | _IFF_UP))
        # pad, destination, gateway, mask, flags, padding; the kernel reads no more.
        nowhere = _address("0.0.0.0")  # noqa: S104
        route = struct.pack(
            "L16s16s16sH54x", 0, nowhere, _address(gateway), nowhere, _RTF_UP | _RTF_GATEWAY
        )
        fcntl.ioctl(sock, _SIOCADDRT, route.ljust(120, b"\0"))


def _address(text: str) -> bytes:
    return struct.pack("=H2s4s8x", socket.AF_INET, b"", socket.inet_aton(text))


def _flags(name: bytes, flags: int) -> bytes:
    return struct.pack("16sH14x", name, flags)
