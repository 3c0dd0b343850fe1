"""Syncs repositories with rsync, and verifies their signed Manifest (GLEP 74) with gemato.

The copy stays in the cache, so that the next sync only fetches changes.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from cloche.config.lock import RepoPin
from cloche.fetching.download import shown
from cloche.fetching.errors import SignatureError
from cloche.fetching.openpgp import Keyring, opened
from cloche.trees.errors import ManifestError
from cloche.trees.methods import SyncContext, SyncRequest
from cloche.trees.programs import needed, watched

# Portage's own (make.globals, PORTAGE_RSYNC_OPTS), without what would keep owners or modes.
_OPTIONS = (
    "--recursive",
    "--links",
    "--safe-links",
    "--times",
    "--omit-dir-times",
    "--compress",
    "--force",
    "--whole-file",
    "--delete",
    "--delete-excluded",
    "--timeout=180",
    "--exclude=/distfiles",
    "--exclude=/local",
    "--exclude=/packages",
    "--exclude=/lost+found",
    "--exclude=.*",  # which no Manifest covers (GLEP 74)
    "--info=progress2",
)


def newest(request: SyncRequest, context: SyncContext) -> RepoPin:
    """Update the copy and check it."""
    needed("rsync", request)
    copy = _copy(request, context)
    copy.mkdir(mode=0o755, exist_ok=True)
    os.utime(copy)  # it is in use
    context.report(f"rsync from {shown(request.sync.uri)}")
    _bring(request, copy, context)
    if not request.sync.verify:
        return RepoPin("rsync", "")
    context.report("checking the Manifest's signature, and every file against it")
    with opened(request.keyring(context)) as keyring:
        try:
            timestamp = _verified(request, copy, keyring)
        except (ManifestError, SignatureError):
            # Size and time alone do not show every change: once more, by content.
            _bring(request, copy, context, "--checksum")
            timestamp = _verified(request, copy, keyring)
    return RepoPin("rsync", "", timestamp=timestamp)


def _bring(request: SyncRequest, copy: Path, context: SyncContext, *more: str) -> None:
    source, password = source_of(request)
    env = {"RSYNC_PASSWORD": password} if password else {}
    watched(["rsync", *_OPTIONS, *more, "--", source, f"{copy}/"], request, context, env=env)


def taken(
    request: SyncRequest, pin: RepoPin, room: Path, context: SyncContext
) -> tuple[Path, RepoPin]:
    """Update the copy; a mirror has one state only, and the caller compares it with the pin."""
    del room
    if request.pinned is not None:
        pin = newest(request, context)
    return _copy(request, context), pin


def _copy(request: SyncRequest, context: SyncContext) -> Path:
    digest = hashlib.sha256(f"{request.name}\0{request.sync.uri}".encode()).hexdigest()[:16]
    return context.cache / f"rsync-{request.name}-{digest}"


def source_of(request: SyncRequest) -> tuple[str, str]:
    """The source as rsync expects it, with a final slash, and a path for ``file:``; and the
    password, which rsync takes from the environment."""
    parts = urlsplit(request.sync.uri)
    if parts.scheme == "file":
        return f"{unquote(parts.path).rstrip('/')}/", ""
    login, at, host = parts.netloc.rpartition("@")
    user, _, password = login.partition(":")
    source = urlunsplit(parts._replace(netloc=f"{user}{at}{host}"))
    return f"{source.rstrip('/')}/", unquote(password)


def _verified(request: SyncRequest, tree: Path, keyring: Keyring) -> str:
    """Check all files; return the Manifest's time. Raises `ManifestError`, `SignatureError`."""
    from gemato.exceptions import GematoException

    manifest = tree / "Manifest"
    if not manifest.is_file():
        raise ManifestError(request.name, "it has none")
    source = f"the Manifest of {request.name}"
    keyring.signed_text(manifest.read_text(encoding="utf-8", errors="replace"), source)
    try:
        return _checked(manifest)
    except GematoException as error:
        raise ManifestError(request.name, str(error)) from error


def _checked(manifest: Path) -> str:
    """Check every file of the tree against its Manifest, whose signature is checked already."""
    from gemato.recursiveloader import ManifestRecursiveLoader

    loader = ManifestRecursiveLoader(
        str(manifest), verify_openpgp=False, require_secure_hashes=True, allow_xdev=False
    )
    loader.assert_directory_verifies("")
    stamp = loader.find_timestamp()
    return stamp.ts.strftime("%Y-%m-%dT%H:%M:%SZ") if stamp else ""
