"""``sync_*`` of ``[repos.NAME]``: where a repository is taken from, in portage(5)'s words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from cloche.config.errors import ConfigError, missing_key, unknown_name
from cloche.config.table import Table

KEYS: Final = ("sync_type", "sync_uri", "sync_branch", "sync_verify", "sync_openpgp_key_path")

_SCHEMES: Final[Mapping[str, tuple[str, ...]]] = {
    "git": ("https", "http", "git", "ssh", "file"),
    "rsync": ("rsync", "file"),
    "webrsync": ("https", "http", "file"),
    "squashfs": ("https", "http", "file"),
}


@dataclass(frozen=True, slots=True)
class Sync:
    """How a repository is taken.

    ``type`` is ``git``, ``rsync``, ``webrsync`` (Gentoo's snapshot tarballs) or ``squashfs``
    (Gentoo's squashfs snapshots). ``uri`` is a URI, empty where the type has a default; ``branch``
    git's. ``verify`` requires an OpenPGP signature by a key of ``keyring``, by default of Gentoo's.
    """

    type: str
    uri: str = ""
    branch: str = ""
    verify: bool = True
    keyring: Path | None = None


def read_sync(table: Table, root: Path) -> Sync | None:
    """The sync settings of a repository; None without ``sync_type``. Raises `ConfigError`."""
    kind = table.optional("sync_type", str)
    if kind is None:
        alone = next((word for word in KEYS if word in table.data), None)
        if alone is not None:
            raise missing_key(table.origin(alone), "sync_type", '"git"')
        return None
    if kind not in _SCHEMES:
        raise unknown_name(table.origin("sync_type"), "sync_type", kind, _SCHEMES)
    example = f'"{_SCHEMES[kind][0]}://…"'
    if kind in ("git", "rsync") and not table.required("sync_uri", example):
        raise missing_key(table.origin("sync_uri"), "sync_uri", example)
    branch = table.get("sync_branch", str, "")
    key = table.optional("sync_openpgp_key_path", str)
    if branch and (kind != "git" or branch.startswith("-") or not branch.isprintable()):
        raise ConfigError(
            table.origin("sync_branch"), f"“{branch}” is not a branch", "only git has branches"
        )
    return Sync(
        type=kind,
        uri=read_uri(table, kind, _SCHEMES[kind], root),
        branch=branch,
        # Few commits are signed, and the pinned commit is as trustworthy as its server.
        verify=table.get("sync_verify", bool, kind != "git" or key is not None),
        keyring=(root / key).absolute() if key else None,
    )


def read_uri(table: Table, kind: str, schemes: tuple[str, ...], root: Path) -> str:
    """``sync_uri``; a path, relative to the file it is written in, becomes ``file:``'s.

    ``kind`` names what is there, ``schemes`` how it may be reached. Raises `ConfigError`.
    """
    text = table.get("sync_uri", str, "")
    if not text:
        return ""
    if "://" not in text and ":" not in text:
        return (root / text).absolute().as_uri()
    try:
        known = urlsplit(text).scheme in schemes and text.isprintable() and " " not in text
    except ValueError:
        known = False
    if not known:
        begins = ", ".join(f"{scheme}://" for scheme in schemes)
        raise ConfigError(
            table.origin("sync_uri"),
            f"“{text.rpartition('@')[2]}” is not an address for {kind}",  # without a password
            f"begin with {begins}",
        )
    return text
