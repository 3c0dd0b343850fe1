"""Syncs Gentoo's daily snapshots of its repository, tarballs or squashfs images.

The layout of a mirror: ``snapshots/gentoo-DATE.tar.xz`` with a detached signature in ``.gpgsig``;
``snapshots/squashfs/gentoo-DATE.xz.sqfs``, with digests in ``gentoo-DATE.sha512sum.txt`` (or
``sha512sum.txt`` for all of them), signed in clear text. A day's snapshot is made at 00:45 UTC of
the next day.
"""

from __future__ import annotations

import hashlib
import re
import urllib.parse
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cloche.config.lock import RepoPin
from cloche.errors import Exit
from cloche.fetching.download import check_digests, fetch_file, fetch_text, gentoo_mirror, shown
from cloche.fetching.errors import NotThereError, SignatureError, WrongContentError
from cloche.fetching.openpgp import opened
from cloche.trees.errors import TreeDriftError, TreeError
from cloche.trees.methods import SyncContext, SyncRequest
from cloche.trees.programs import needed, watched

_DAYS = 14
_FILE = re.compile(r"([\w.+-]+?)\.(?:tar\.(?:xz|bz2|gz|zst)|(?:xz|lzo|zst)\.sqfs|sqfs)")
_SUFFIX = {"webrsync": ".tar.xz", "squashfs": ".xz.sqfs"}
_DIRECTORY = {"webrsync": "snapshots", "squashfs": "snapshots/squashfs"}
_DIGEST = re.compile(r"([0-9a-f]{128})\s+\*?(\S+)")


def newest(request: SyncRequest, context: SyncContext) -> RepoPin:
    """Find the newest snapshot, by its signature or digest file."""
    directory, name = _address(request, context)
    if name:
        return RepoPin(
            request.sync.type, "", file=name, digest=_of_this_host(directory, name, request)
        )
    context.report(f"looking for the newest snapshot at {shown(directory)}")
    for stem in _stems():
        beside = f"{stem}{_SUFFIX['webrsync']}.gpgsig"
        if request.sync.type == "squashfs":
            beside = f"{stem}.sha512sum.txt"
        try:
            fetch_text(f"{directory}/{beside}")
        except NotThereError:
            continue
        return RepoPin(request.sync.type, "", file=f"{stem}{_SUFFIX[request.sync.type]}")
    raise TreeError(
        request.name,
        f"no snapshot of the last {_DAYS} days at {shown(directory)}",
        todo="check sync_uri, which names a mirror's top directory or a single snapshot",
    )


def taken(
    request: SyncRequest, pin: RepoPin, room: Path, context: SyncContext
) -> tuple[Path, RepoPin]:
    """Fetch a snapshot, check it, unpack it."""
    if not _FILE.fullmatch(pin.file):
        raise TreeError(
            request.name,
            f"cloche.lock pins “{pin.file}”, which is not the name of a snapshot",
            todo="restore cloche.lock from version control",
            status=Exit.BAD_INPUT,
        )
    if pin.file.endswith(".sqfs"):
        needed("unsquashfs", request)
    directory, _ = _address(request, context)
    address = f"{directory}/{pin.file}"
    file = (
        context.cache / f"{request.name}.{pin.file}"
    )  # snapshots of other repositories may have the same name
    context.report(f"fetching {pin.file}")
    fetch_file(address, file, progress=context.progress)
    try:
        digest = _checked(request, pin, file, address, room, context)
    except (SignatureError, WrongContentError, TreeDriftError):
        file.unlink()
        raise
    context.report(f"unpacking {pin.file}")
    tree = _unpacked(request, file, room, context)
    file.unlink()
    return tree, replace(pin, digest=digest)


def _address(request: SyncRequest, context: SyncContext) -> tuple[str, str]:
    """The directory of the snapshots, and the snapshot if the address names one."""
    above, _, last = request.sync.uri.rpartition("/")
    if _FILE.fullmatch(last) and not context.mirror:
        return above, last
    mirror = gentoo_mirror(context.mirror, request.sync.uri)
    return f"{mirror}/{_DIRECTORY[request.sync.type]}", ""


def _of_this_host(directory: str, name: str, request: SyncRequest) -> str:
    """The SHA-256 of a file of this host, which may be made again under its name.

    Without it the name alone tells states apart. A digest stands for a signature, so only where
    none is wanted.
    """
    file = Path(urllib.parse.unquote(directory.removeprefix("file://")), name)
    if request.sync.verify or not directory.startswith("file://") or not file.is_file():
        return ""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _stems() -> Iterator[str]:
    """The names of the last days' snapshots, the newest first."""
    day = (datetime.now(UTC) - timedelta(minutes=45)).date()
    for _ in range(_DAYS):
        day -= timedelta(days=1)
        yield f"gentoo-{day:%Y%m%d}"


def _checked(
    request: SyncRequest,
    pin: RepoPin,
    file: Path,
    address: str,
    room: Path,
    context: SyncContext,
) -> str:
    """Check a snapshot against its pin or its signature; return its SHA-256."""
    context.report("verifying digest and signature")
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if pin.digest:
        if digest != pin.digest:
            raise TreeDriftError(request.name, pin.digest[:12], digest[:12])
    elif request.sync.verify:
        with opened(request.keyring(context)) as keyring:
            if request.sync.type == "squashfs":
                text, name = _listed(address, pin.file)
                body, _ = keyring.signed_text(text, name)
                check_digests(file, {"SHA512": _digest_in(body, pin.file)}, shown(address))
            else:
                signature = room / "signature"
                fetch_file(f"{address}.gpgsig", signature)
                keyring.check(file, signature, shown(address))
    return digest


def _listed(address: str, file: str) -> tuple[str, str]:
    """The file that lists the digest of a squashfs image: its text and its address."""
    directory, match = address.rpartition("/")[0], _FILE.fullmatch(file)
    own = f"{directory}/{match[1] if match else file}.sha512sum.txt"
    try:
        return fetch_text(own), shown(own)
    except NotThereError:
        common = f"{directory}/sha512sum.txt"
        return fetch_text(common), shown(common)


def _digest_in(text: str, file: str) -> str:
    """The SHA-512 of a file in a list of sha512sum(1); empty where it is not in it."""
    found = (_DIGEST.fullmatch(line.strip()) for line in text.splitlines())
    return next((match[1] for match in found if match and match[2] == file), "")


def _unpacked(request: SyncRequest, file: Path, room: Path, context: SyncContext) -> Path:
    """Unpack a snapshot in ``room``; return the repository's directory."""
    if file.name.endswith(".sqfs"):
        # unsquashfs, not a mount: the kernel should only mount trusted images.
        tree = room / "squashfs"
        words = ["unsquashfs", "-no-xattrs", "-no-progress", "-quiet", "-dest", str(tree)]
        watched([*words, str(file)], request, context)
        return tree
    from cloche.archives import ImportOptions, import_tarball

    tree = room / "tarball"
    import_tarball(file, tree, ImportOptions(devices="skip"))
    inside = list(tree.iterdir())
    if len(inside) != 1 or inside[0].is_symlink() or not inside[0].is_dir():
        text = "not a single directory that holds a repository"
        raise WrongContentError(file.name, text)
    return inside[0]
