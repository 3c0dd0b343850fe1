"""The tree of a run: an existing snapshot, or one that has to be made, and its date."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cloche.catalyst.conf import Conf
from cloche.catalyst.paths import snapshot_file
from cloche.config.errors import ConfigError, Origin
from cloche.releng.repository import STABLE, commit_of, date_of, git_directory
from cloche.releng.snapshot import Snapshot, find_snapshot


@dataclass(frozen=True, slots=True)
class RunTree:
    """The values of the tokens TREEISH and TIMESTAMP, and the snapshot if it has to be made."""

    treeish: str
    stamp: str
    to_make: Snapshot | None = None


def find_tree(conf: Conf, treeish: str, origin: Origin, fetch: bool) -> RunTree:
    """Find a tree by its tree-ish. Raises `ConfigError`, and what fetching raises.

    The date is that of the commit, or of the snapshot's file if git does not know the tree-ish.
    """
    file = Path(snapshot_file(treeish, conf))
    if treeish != STABLE and file.is_file():
        return RunTree(treeish, _stamp(_commit_date(conf, treeish, origin) or _changed(file)))
    found = find_snapshot(conf, treeish, origin, fetch=fetch)
    date = date_of(found.gitdir, found.commit)
    to_make = None if found.file.is_file() else found
    return RunTree(found.treeish, _stamp(date), to_make)


def _commit_date(conf: Conf, treeish: str, origin: Origin) -> int:
    gitdir = git_directory(conf)
    try:
        return date_of(gitdir, commit_of(gitdir, treeish, origin))
    except ConfigError:
        return 0


def _changed(file: Path) -> int:
    return int(file.stat().st_mtime)


def _stamp(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y%m%dT%H%M%SZ")
