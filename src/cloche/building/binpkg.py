"""Fetches packages from binary package hosts, verifies them, and keeps them as blobs."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from cloche.binhosts.gpkg import BadPackageError, Checked, check_package, unsigned
from cloche.binhosts.index import Binhost
from cloche.building.context import BuildContext
from cloche.building.errors import lock_drift
from cloche.fetching.download import fetch_file, shown
from cloche.fetching.openpgp import opened
from cloche.plan.depgraph import Binary, Package
from cloche.records.events import Fetched
from cloche.store import Key, Outcome, make_key, remember
from cloche.tasks.errors import (
    StepError,
    missing_distfile,
)

#: The digests that Portage writes into an index, and hashlib's names for them. They are weak, and
#: only show that the file is that of the index; its origin is proven by a signature.
_DIGESTS = {"SHA1": "sha1", "MD5": "md5"}
_CHUNK = 1 << 20


def found(context: BuildContext, package: Package) -> str | None:
    """The blob of a package's GPKG, if it was fetched and verified before."""
    host, binary = _of(context, package)
    action = context.store.action(_key(host, binary).digest)
    return action.outputs["gpkg"] if action is not None else None


def obtain(context: BuildContext, package: Package) -> str:
    """Fetch and verify a package's GPKG unless that was done; return its blob.

    Raises `StepError`, and `lock_drift` if it is not the locked one.
    """
    host, binary = _of(context, package)
    key = _key(host, binary)

    def fetch() -> Outcome:
        if context.policy.offline:
            raise missing_distfile(package.id, binary.path)
        return _fetched(context, package, host, binary, key)

    gpkg = remember(context.store, key, package.id, fetch).action.outputs["gpkg"]
    _hold(context, binary, gpkg)
    return gpkg


def _of(context: BuildContext, package: Package) -> tuple[Binhost, Binary]:
    """A package's binary package host. Raises `StepError` if the machine does not name it."""
    binary = package.binary
    if binary is None or binary.host not in context.inputs.binhosts:
        raise StepError(package.id, "fetch", "the machine does not name its binary package host")
    return context.inputs.binhosts[binary.host], binary


def _key(host: Binhost, binary: Binary) -> Key:
    """Key of a verified fetch: the file as listed in the index, and the keys that may sign it."""
    keys = hashlib.sha256(host.keyring.read_bytes()).hexdigest() if host.keyring else "unsigned"
    parts = {
        "host": host.name,
        "path": binary.path,
        "size": str(binary.size),
        "keys": keys,
        **{f"digest {kind}": digest for kind, digest in binary.digests.items()},
    }
    return make_key("binpkg", parts)


def _fetched(
    context: BuildContext, package: Package, host: Binhost, binary: Binary, key: Key
) -> Outcome:
    address = f"{host.uri}/{binary.path}"
    file = context.store.downloads / f"binpkg-{key.digest}.gpkg.tar"
    file.parent.mkdir(exist_ok=True)
    fetch_file(address, file, size=binary.size)
    try:
        checked = _check(file, shown(address), host, binary.digests)
        with context.store.workspace("binpkg") as room:
            plain = room / "package"
            unsigned(file, plain, checked)
            blob = context.store.add_blob(plain, package.cpv)
    finally:
        file.unlink(missing_ok=True)
    context.bus(Fetched(package=package.id, file=binary.path, size=binary.size))
    return Outcome({"gpkg": blob.id})


def _check(file: Path, source: str, host: Binhost, digests: Mapping[str, str]) -> Checked:
    """Check a file against the index. Raises `BadPackageError`, `SignatureError`."""
    hashes = {kind: hashlib.new(_DIGESTS[kind], usedforsecurity=False) for kind in digests}
    with file.open("rb") as stream:
        while data := stream.read(_CHUNK):
            for each in hashes.values():
                each.update(data)
    for kind, each in hashes.items():
        if each.hexdigest() != digests[kind].lower():
            raise BadPackageError(source, f"its {kind} does not match the host's index")
    with ExitStack() as stack:
        keyring = stack.enter_context(opened(host.keyring)) if host.keyring else None
        return check_package(file, source, keyring)


def _hold(context: BuildContext, binary: Binary, gpkg: str) -> None:
    """Refuse a package other than the locked one; a blob's id is its SHA-256."""
    locked = context.inputs.locked_binpkgs
    wanted = None if locked is None else locked.get(f"{binary.host}/{binary.path}", "")
    if wanted is not None and wanted != gpkg:
        difference = f"{binary.host}/{binary.path} has another digest"
        raise lock_drift(context.inputs.machine, (difference,))
