"""The index of a target (`Packages`): a header, and an entry of each package that it takes."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from email.utils import formatdate, parsedate_to_datetime

LEVEL = "CLOCHE_LEVEL"  # in an entry: the level at which the package was built; Portage skips it
_FAST = 4  # of gzip: a fifth larger than the best, a third of its time


@dataclass(frozen=True, slots=True)
class Index:
    """An index, as it goes over the wire."""

    stamp: int
    plain: bytes
    packed: bytes
    etag: str

    def etag_of(self, packed: bool) -> str:
        """ETag of one of the two forms."""
        return f'{self.etag[:-1]}-gz"' if packed else self.etag

    @property
    def modified(self) -> str:
        """Last-Modified."""
        return formatdate(self.stamp, usegmt=True)


def made(arch: str, chost: str, stamp: int, offered: Iterable[tuple[str, str]]) -> Index:
    """The index of packages, each an entry and the level at which it was built."""
    entries = [f"{entry}\n{LEVEL}: {level}\n" for entry, level in offered]
    header = {
        "ARCH": arch,
        "CHOST": chost,
        "PACKAGES": str(len(entries)),
        "TIMESTAMP": str(stamp),
        "VERSION": "0",
    }
    head = "".join(f"{name}: {value}\n" for name, value in header.items())
    plain = "\n".join((head, *entries, "")).encode()
    etag = f'"{hashlib.sha256(plain).hexdigest()[:32]}"'
    return Index(stamp, plain, gzip.compress(plain, _FAST, mtime=stamp), etag)


def is_unmodified(stamp: int, etag: str, none_match: str | None, since: str | None) -> bool:
    """Whether a client has the index already (RFC 9110, 13.1.2 and 13.1.3)."""
    if none_match is not None:
        tags = {tag.strip().removeprefix("W/") for tag in none_match.split(",")}
        return etag in tags or "*" in tags
    if since is None:
        return False
    try:
        return parsedate_to_datetime(since).timestamp() >= stamp
    except (ValueError, TypeError, OverflowError):
        return False
