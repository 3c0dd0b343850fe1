"""The published packages: files ``CATEGORY/PN/PF-N.gpkg.tar``, each with its entry of an index."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from cloche.binhosts.signed import sign_package
from cloche.fetching.signing import Signer
from cloche.plan.names import cp_of
from cloche.service import files

#: What an entry says of the file, and not of the package.
OF_FILE = ("BUILD_ID", "MD5", "MTIME", "PATH", "SHA1", "SIZE")
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Published:
    """A file of the pool."""

    path: str
    size: int
    entry: str


def path_of(cpv: str, number: int) -> str:
    """Where a package lies below the pool (binpkg-multi-instance)."""
    cp = cp_of(cpv)
    return f"{cp}/{cpv.partition('/')[2]}-{number}.gpkg.tar"


def publish(
    source: Path, pool: Path, cpv: str, number: int, entry: str, signer: Signer | None
) -> Published:
    """Put a package into the pool, signed where there is a key. ``source`` goes away.

    Raises OSError, ClocheError.
    """
    path = path_of(cpv, number)
    if signer is not None:
        signed = source.with_name(f"{source.name}.signed")
        sign_package(source, signed, signer)
        source.unlink()
        source = signed
    md5, sha1 = hashlib.md5(usedforsecurity=False), hashlib.sha1(usedforsecurity=False)
    with source.open("rb") as file:
        while chunk := file.read(_CHUNK):
            md5.update(chunk)
            sha1.update(chunk)
    status = source.stat()
    fields = {
        "BUILD_ID": str(number),
        "MD5": md5.hexdigest(),
        "MTIME": str(int(status.st_mtime)),
        "PATH": path,
        "SHA1": sha1.hexdigest(),
        "SIZE": str(status.st_size),
    }
    files.place(source, pool / path, pool)
    return Published(path, status.st_size, with_fields(entry, fields))


def with_fields(entry: str, fields: dict[str, str]) -> str:
    """An entry with other values of what it says of the file, sorted as Portage writes it."""
    kept = [line for line in entry.splitlines() if line.partition(":")[0] not in OF_FILE]
    return "\n".join(sorted((*kept, *(f"{name}: {value}" for name, value in fields.items()))))
