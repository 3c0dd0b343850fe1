"""Verifies a binary package (GLEP 78) on the host: its format, its digests, its signature.

A GPKG is a tar of ``NAME/gpkg-1``, ``NAME/metadata.tar…``, ``NAME/image.tar…`` and
``NAME/Manifest`` with the digests of the others. Signatures of single members (``.sig``) are not
needed if the Manifest is signed, since it covers them. Portage reads the members in a sandbox
without gpg and keys, and so gets packages without signatures (`unsigned`).
"""

from __future__ import annotations

import hashlib
import io
import re
import shutil
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from cloche.archives.tarformat import Member, TarReader
from cloche.errors import ClocheError, Exit
from cloche.fetching.download import ALGORITHMS
from cloche.fetching.openpgp import Keyring, signed_part
from cloche.layers import SOURCE_DATE_EPOCH

_MEMBER = re.compile(r"(gpkg-1|Manifest|(?:metadata|image)\.tar(?:\.[a-z0-9]+)?(?:\.sig)?)")
_NEEDED = ("gpkg-1", "metadata.tar", "image.tar", "Manifest")
_SMALL = 1 << 20  # bytes of a Manifest
_MEMBERS = 16
_CHUNK = 1 << 20


class BadPackageError(ClocheError):
    """A file is not the expected binary package."""

    status = Exit.FAILED

    def __init__(self, source: str, reason: str) -> None:
        todo = "do not use this host; remove it from the machine's `binrepos`"
        super().__init__(reason, where=source, todo=todo)


@dataclass(frozen=True, slots=True)
class Content:
    """One member: its size in bytes, and its digests by Manifest hash name."""

    size: int
    digests: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Checked:
    """A verified package: its Manifest without signatures, whether it has any signature, and the
    fingerprint of the Manifest's signer, empty where none is required."""

    manifest: str
    signed: bool
    signer: str


def check_package(file: Path, source: str, keyring: Keyring | None) -> Checked:
    """Check a package against its Manifest, and that against a signature if a keyring is given.

    ``source`` is what errors name. Raises `BadPackageError`, `SignatureError`.
    """
    try:
        with file.open("rb") as stream:
            members, manifest = _members(TarReader(stream, file, _SMALL), source)
    except BadPackageError:
        raise
    except ClocheError as error:  # the reader's own
        raise BadPackageError(source, f"not a GPKG: {error.what}") from error
    whole, signer = manifest.decode("utf-8", "replace"), ""
    if keyring is not None:
        text, signer = keyring.signed_text(whole, source)
    else:
        text = signed_part(whole) or whole
    _compare(members, listed(text, source), source)
    plain = "".join(line for line in text.splitlines(keepends=True) if not _of_signature(line))
    return Checked(plain, plain != whole, signer)


def _of_signature(line: str) -> bool:
    words = line.split()
    return len(words) > 1 and words[1].endswith(".sig")


def unsigned(file: Path, target: Path, checked: Checked) -> None:
    """Write a checked package without its signatures.

    The bytes do not depend on the signer; a package without signatures is copied as it is.
    """
    if not checked.signed:
        shutil.copyfile(file, target)
        return
    with file.open("rb") as stream, tarfile.open(target, "w", format=tarfile.USTAR_FORMAT) as tar:
        reader = TarReader(stream, file, _SMALL)
        for member in reader:
            info = tarfile.TarInfo(member.name.decode())
            info.size, info.mtime, info.mode = member.size, SOURCE_DATE_EPOCH, 0o644
            if info.name.endswith("/Manifest"):
                text = checked.manifest.encode()
                info.size = len(text)
                tar.addfile(info, io.BytesIO(text))
            elif not info.name.endswith(".sig"):
                tar.addfile(info, cast("IO[bytes]", reader))


def _members(reader: TarReader, source: str) -> tuple[dict[str, Content], bytes]:
    """The members of the tar, and the Manifest's text. Raises if a member is repeated."""
    found: dict[str, Content] = {}
    directories: set[str] = set()
    text = b""
    for member in reader:
        directory, _, name = member.name.decode("utf-8", "replace").partition("/")
        directories.add(directory)
        if member.type != "file" or not _MEMBER.fullmatch(name) or len(directories) > 1:
            raise BadPackageError(source, f"not a GPKG: it holds {directory}/{name}")
        if name in found or len(found) > _MEMBERS:
            raise BadPackageError(source, f"not a GPKG: it holds {name} twice")
        found[name], data = _read(reader, member, keep=name == "Manifest", source=source)
        text = data or text
    stems = {name.split(".tar")[0] + ".tar" if ".tar" in name else name for name in found}
    if missing := [name for name in _NEEDED if name not in stems]:
        raise BadPackageError(source, f"incomplete GPKG: it has no {missing[0]}")
    return found, text


def _read(reader: TarReader, member: Member, *, keep: bool, source: str) -> tuple[Content, bytes]:
    """A member's digests, and its data with ``keep``."""
    if keep and member.size > _SMALL:
        raise BadPackageError(source, "not a GPKG: a Manifest of over a megabyte")
    hashes = {name: hashlib.new(known) for name, known in ALGORITHMS.items()}
    kept = io.BytesIO()
    while data := reader.read(_CHUNK):
        for each in hashes.values():
            each.update(data)
        if keep:
            kept.write(data)
    digests = {name: each.hexdigest() for name, each in hashes.items()}
    return Content(member.size, digests), kept.getvalue()


def listed(text: str, source: str) -> dict[str, Content]:
    """The DATA lines of a Manifest (GLEP 74). Raises `BadPackageError`."""
    found: dict[str, Content] = {}
    for line in text.splitlines():
        words = line.split()
        if not words or words[0] != "DATA":
            continue
        if len(words) < 5 or len(words) % 2 == 0 or not words[2].isascii() or words[1] in found:
            raise BadPackageError(source, f"its Manifest has a malformed line: {line[:100]}")
        if not words[2].isdigit() or len(words[2]) > 15:
            raise BadPackageError(source, f"its Manifest has a malformed line: {line[:100]}")
        digests = {
            kind: digest.lower()
            for kind, digest in zip(words[3::2], words[4::2], strict=True)
            if kind in ALGORITHMS
        }
        found[words[1]] = Content(int(words[2]), digests)
    return found


def _compare(members: Mapping[str, Content], said: Mapping[str, Content], source: str) -> None:
    """Check that members match the Manifest, and that no listed one is missing."""
    if gone := sorted(said.keys() - members.keys()):
        raise BadPackageError(source, f"its Manifest lists {gone[0]}, which is missing")
    for name, content in members.items():
        if name in ("Manifest", "gpkg-1") and name not in said:
            continue
        if name not in said:
            raise BadPackageError(source, f"its Manifest does not list {name}")
        wanted = said[name]
        same = all(content.digests[kind] == digest for kind, digest in wanted.digests.items())
        if not wanted.digests or wanted.size != content.size or not same:
            raise BadPackageError(source, f"its {name} does not match its Manifest")
