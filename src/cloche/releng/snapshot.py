"""The target snapshot: the ebuild repository at one commit, as a squashfs.

As in catalyst, it holds exactly what `git archive` writes for the commit: metadata/md5-cache only
if the repository has it. Equal commits give equal bytes.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from cloche.catalyst.conf import Conf
from cloche.catalyst.paths import snapshot_file
from cloche.config.errors import ConfigError, Origin
from cloche.releng.opening import Opening
from cloche.releng.outputs import aside
from cloche.releng.repository import STABLE, archive, commit_of, date_of, git_directory, updated
from cloche.releng.tools import opened_tools
from cloche.sandbox.base import Bind

OUT = "/run/cloche/out"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The source of a snapshot and its file, whose name contains ``treeish``."""

    repo: str
    treeish: str
    commit: str
    gitdir: Path
    file: Path

    def __str__(self) -> str:
        """The line in which catalyst-auto looks for the commit."""
        return f"Creating {self.repo} tree snapshot {self.treeish} from {self.gitdir}"


def find_snapshot(conf: Conf, treeish: str, origin: Origin, *, fetch: bool = True) -> Snapshot:
    """Look for a tree-ish. With ``fetch``, the newest signed state of `stable` is fetched first.

    Raises `ConfigError`, `FetchingError`.
    """
    gitdir = git_directory(conf)
    if treeish == STABLE and fetch:
        treeish = updated(conf, gitdir)
    elif treeish == STABLE:
        treeish = commit_of(gitdir, STABLE, origin)
    if "/" in treeish or not treeish.isprintable():
        what = f"“{treeish}” cannot be part of a file name"
        raise ConfigError(origin, what, "name the commit, or a tag without “/”")
    commit = commit_of(gitdir, treeish, origin)
    file = Path(snapshot_file(treeish, conf))
    return Snapshot(conf.text("repo_name"), treeish, commit, gitdir, file)


def make_snapshot(snapshot: Snapshot, conf: Conf, opening: Opening) -> None:
    """Make it, in place of an earlier one; the file gets its name when it is complete.

    Raises ClocheError, OSError.
    """
    snapshot.file.parent.mkdir(parents=True, exist_ok=True)
    with (
        opened_tools(conf, opening) as tools,
        tools.session.store.workspace("snapshot") as room,
        aside(snapshot.file) as file,
    ):
        tarball, out = room / "tree.tar", room / "out"
        out.mkdir()
        archive(snapshot.gitdir, snapshot.commit, tarball)
        time = str(date_of(snapshot.gitdir, snapshot.commit))
        name = f"{OUT}/{snapshot.file.name}"
        words = ("mksquashfs", "-", name, "-tar", "-all-root", "-root-mode", "755")
        more = (
            "-no-xattrs",
            "-quiet",
            "-no-progress",
            "-comp",
            "gzip",
            "-all-time",
            time,
            "-mkfs-time",
            time,
        )
        with tarball.open("rb") as stream:
            binds = [Bind(out, OUT, writable=True)]
            tools.run((*words, *more), binds, stdin=stream.fileno())
        shutil.copyfile(out / snapshot.file.name, file)
        file.chmod(0o644)
