"""catalyst's git repository of ebuilds: the bare clone that snapshots are made from.

It lies below `repos_storedir`, as catalyst has it. Neither its hooks and filters nor the user's
configuration of git have an effect.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from pathlib import Path

from cloche.catalyst.conf import Conf
from cloche.catalyst.paths import snapshot_file
from cloche.config.errors import ConfigError, Origin
from cloche.errors import ClocheError, Exit
from cloche.fetching.openpgp import check_requirements
from cloche.trees.git import ENV, check_signed, command

STABLE = "stable"  # the branch that catalyst fetches, and whose commits are signed
UPSTREAM = "https://anongit.gentoo.org/git/repo/sync/gentoo.git"
_BRANCH = f"refs/heads/{STABLE}"
_PASSED = re.compile(r"PATH|HOME|SSH_AUTH_SOCK|TMPDIR|(?i:https?|all|no)_proxy")
#: Settings by which `git gc` keeps only what was fetched last (git-gc(1)).
_FORGETS = {
    "gc.reflogExpire": "0",
    "gc.reflogExpireUnreachable": "0",
    "gc.pruneExpire": "now",
}


def git_directory(conf: Conf) -> Path:
    """The directory of the repository."""
    return Path(conf.text("repos_storedir"), f"{conf.text('repo_name')}.git")


def has_snapshot(conf: Conf, treeish: str) -> bool:
    """Whether a tree-ish has a snapshot."""
    return Path(snapshot_file(treeish, conf)).is_file()


def commit_of(gitdir: Path, treeish: str, origin: Origin) -> str:
    """The object that a tree-ish names: a commit where it is one. Raises `ConfigError`."""
    if not (gitdir / "HEAD").is_file():
        todo = f"clone it (git clone --bare), or use “{STABLE}”, which cloche fetches"
        if treeish == STABLE:
            todo = f"`cloche catalyst -s {STABLE}` clones it"
        raise ConfigError(origin, f"git repository not found: {gitdir}", todo)
    for kind in ("commit", "tree"):
        words = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{treeish}^{{{kind}}}")
        found = _run(gitdir, *words, check=False)
        if found.returncode == 0:
            return found.stdout.decode().strip()
    what = f"{gitdir} has no commit, tag or branch “{treeish}”"
    raise ConfigError(origin, what, "name one that exists, or fetch it into that repository")


def date_of(gitdir: Path, commit: str) -> int:
    """The time of a commit in seconds since the epoch; 0 for a tree, which has none."""
    said = _run(gitdir, "show", "--no-patch", "--format=%ct", commit, check=False).stdout.strip()
    return int(said) if said.isdigit() else 0


def archive(gitdir: Path, commit: str, tarball: Path) -> None:
    """Write the tree of a commit to a tarball. Raises ClocheError."""
    _run(gitdir, "archive", "--format=tar", f"--output={tarball}", commit)


def updated(conf: Conf, gitdir: Path) -> str:
    """Fetch the newest signed state; return its commit. Raises ClocheError, `SignatureError`.

    If the repository does not exist, Gentoo's is cloned, as catalyst does. The branch only moves
    to a commit with a valid signature.
    """
    keys = conf.text("repo_openpgp_key_path")
    if keys:
        check_requirements(Path(keys))
    if not gitdir.exists():
        gitdir.mkdir(parents=True)
        _run(gitdir, "init", "--bare", "--quiet", f"--initial-branch={STABLE}", str(gitdir))
        settings = {"remote.origin.url": UPSTREAM, **_FORGETS}
        for key, value in settings.items():
            _run(gitdir, "config", key, value)
    _run(gitdir, "fetch", "--quiet", "--depth=1", "--no-tags", "origin", _BRANCH)
    commit = _run(gitdir, "rev-parse", "--verify", "FETCH_HEAD^{commit}").stdout.decode().strip()
    if keys:
        content = _run(gitdir, "cat-file", "commit", commit).stdout
        with tempfile.TemporaryDirectory(prefix="cloche-") as room:
            check_signed(content, f"commit {commit[:12]} of {gitdir}", Path(keys), Path(room))
    _run(gitdir, "update-ref", _BRANCH, commit)
    return commit


def _run(gitdir: Path, *words: str, check: bool = True) -> subprocess.CompletedProcess[bytes]:
    """Run git. Raises ClocheError if it is not installed or, with ``check``, fails."""
    passed = {key: value for key, value in os.environ.items() if _PASSED.fullmatch(key)}
    env = {**passed, **ENV, "LC_ALL": "C", "GIT_CONFIG_GLOBAL": os.devnull}
    try:
        done = subprocess.run(
            command(gitdir, *words),
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
    except FileNotFoundError:
        todo = "install dev-vcs/git (Debian: git)"
        raise ClocheError("git not found", todo=todo, status=Exit.HOST) from None
    if check and done.returncode:
        said = done.stderr.decode(errors="replace").strip()
        line = next(iter(said.splitlines()), f"status {done.returncode}")
        raise ClocheError(
            f"git {words[0]}: {line}",
            where=gitdir,
            todo="solve the problem that git reports, and try again",
            detail=said if "\n" in said else None,
            status=Exit.FAILED,
        )
    return done
