"""Decides which addresses a fetch may connect to. Pure functions.

An ebuild names URIs, and a server redirects to others; neither may make cloche connect to what only
this host can reach. Servers in the user's own configuration (mirrors, proxies) are always allowed:
a mirror on the host's loopback is common.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

PORTS = {"http": 80, "https": 443, "ftp": 21, "rsync": 873}
# Metadata services of clouds, which give out credentials, besides the link-local 169.254.169.254.
METADATA = frozenset(
    map(ipaddress.ip_address, ("100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254"))
)
#: Prefixes whose last 32 bits are an IPv4 address: NAT64 (RFC 6052, RFC 8215), SIIT (RFC 2765).
_NAT64 = tuple(map(ipaddress.ip_network, ("64:ff9b::/96", "64:ff9b:1::/48", "::ffff:0:0:0/96")))


@dataclass(frozen=True, slots=True)
class Place:
    """A host, in lower case, and a TCP port."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def place_of(uri: str) -> Place | None:
    """The server of a URI; None if it has none, or an unknown scheme."""
    try:
        parts = urlsplit(uri)
        port = parts.port or PORTS.get(parts.scheme)
    except ValueError:
        return None
    if not parts.hostname or port is None:
        return None
    return Place(parts.hostname.rstrip("."), port)


def mirror_uris(text: str) -> tuple[str, ...]:
    """URIs and directories in the text of ``/etc/portage/mirrors`` (portage(5))."""
    lines = (line.split("#", 1)[0].split() for line in text.splitlines())
    return tuple(word for line in lines for word in line[1:])


def places_of(uris: Iterable[str]) -> frozenset[Place]:
    """The servers that these URIs name."""
    return frozenset(place for uri in uris if (place := place_of(uri)) is not None)


def refusal(address: Address, *, own: bool) -> str | None:
    """Why only the user's own configuration may name an address; None if any URI may.

    ``own`` says that the address is one of this host's.
    """
    inner = _embedded(address)
    if inner is not None:
        return refusal(inner, own=own)
    kinds = (
        (address.is_loopback, "the loopback of this host"),
        (address.is_link_local, "a link-local address"),
        (address in METADATA, "the metadata service of a cloud"),
        (address.is_unspecified or address in _THIS_HOST, "this host"),
        (address.is_multicast or address == _BROADCAST, "a multicast address"),
        (own, "an address of this host"),
    )
    return next((text for holds, text in kinds if holds), None)


_THIS_HOST = ipaddress.ip_network("0.0.0.0/8")
_BROADCAST = ipaddress.ip_address("255.255.255.255")


def _embedded(address: Address) -> Address | None:
    """The IPv4 address embedded in an IPv6 address of a transition mechanism."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if any(address in each for each in _NAT64):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    if int(address) >> 32 == 0 and int(address) > 1:  # ::a.b.c.d, of RFC 4291
        return ipaddress.IPv4Address(int(address))
    if address.teredo is not None:
        return address.teredo[1]
    return address.ipv4_mapped or address.sixtofour
