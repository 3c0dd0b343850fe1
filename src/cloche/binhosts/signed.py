"""Signs a binary package (GLEP 78): each member with data, and the Manifest.

The key stays with gpg's agent, outside of every sandbox: packages are built without signatures, and
signed when they are published.
"""

from __future__ import annotations

import hashlib
import shutil
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, cast

from cloche.archives.tarformat import TarReader
from cloche.binhosts.gpkg import BadPackageError, check_package
from cloche.fetching.download import ALGORITHMS
from cloche.fetching.signing import Signer
from cloche.layers import SOURCE_DATE_EPOCH

_SMALL = 1 << 20  # bytes of a Manifest
_HASHES = ("BLAKE2B", "SHA512")  # those of Portage's own packages


def sign_package(file: Path, target: Path, signer: Signer) -> None:
    """Write a package with signatures; those that it has are replaced.

    Raises `BadPackageError` for what is not a whole package, ClocheError where gpg cannot sign.
    """
    checked = check_package(file, str(file), None)
    with TemporaryDirectory(dir=target.parent, prefix=".sign-") as room:
        part = Path(room, "package")
        with tarfile.open(part, "w", format=tarfile.GNU_FORMAT) as tar:
            _write(file, tar, checked.manifest, signer, Path(room))
        part.replace(target)


def _write(file: Path, tar: tarfile.TarFile, manifest: str, signer: Signer, room: Path) -> None:
    name, lines = "", [manifest]
    with file.open("rb") as stream:
        reader = TarReader(stream, file, _SMALL)
        for member in reader:
            name = member.name.decode()
            base = name.rpartition("/")[2]
            if base == "Manifest" or base.endswith(".sig"):
                continue
            content = room / "content"
            with content.open("wb") as copy:
                shutil.copyfileobj(cast("IO[bytes]", reader), copy, 1 << 20)
            _add(tar, name, content)
            if base != "gpkg-1":
                signature = room / "signature"
                signer.detached(content, signature)
                _add(tar, f"{name}.sig", signature)
                lines.append(_line(f"{base}.sig", signature.read_bytes()))
    if not name:
        raise BadPackageError(str(file), "not a GPKG: it is empty")
    plain, signed = room / "plain", room / "signed"
    plain.write_text("".join(lines))
    signer.cleartext(plain, signed)
    _add(tar, f"{name.partition('/')[0]}/Manifest", signed)


def _line(name: str, data: bytes) -> str:
    """A DATA line of a Manifest (GLEP 74)."""
    digests = (f"{each} {hashlib.new(ALGORITHMS[each], data).hexdigest()}" for each in _HASHES)
    return f"DATA {name} {len(data)} {' '.join(digests)}\n"


def _add(tar: tarfile.TarFile, name: str, content: Path) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mtime, info.mode = content.stat().st_size, SOURCE_DATE_EPOCH, 0o644
    with content.open("rb") as stream:
        tar.addfile(info, stream)
