"""Runs git on trees of untrusted files: no hooks, filters, attributes or settings of anybody's."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cloche.errors import ClocheError, Exit

#: Also written to a repository, for the user's own git.
SAFE: Mapping[str, str] = {
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "core.attributesFile": "/dev/null",
    "core.excludesFile": "/dev/null",
    "core.autocrlf": "false",
    "core.fileMode": "true",
    "core.symlinks": "true",
    "submodule.recurse": "false",
}
_OURS = {
    **SAFE,
    "core.untrackedCache": "false",
    "core.sparseCheckout": "false",
    "core.quotePath": "true",
    "core.looseCompression": "1",
    "core.bare": "false",
    "protocol.allow": "never",
    "gc.auto": "0",
    "maintenance.auto": "false",
}
#: Attributes of the tree are unset: this file has the last word (gitattributes(5)).
ATTRIBUTES = "* !text !eol !crlf !filter !ident !diff !merge !working-tree-encoding !export-subst\n"
_WHEN = "@1000000000 +0000"  # the same commits for the same content


@dataclass(frozen=True, slots=True)
class Git:
    """git for the work tree in a directory, whose repository is ``.git`` there."""

    directory: Path

    @property
    def repository(self) -> Path:
        """The repository itself."""
        return self.directory / ".git"

    @staticmethod
    def check() -> None:
        """See that this host has git. Raises ClocheError."""
        if shutil.which("git") is None:
            raise no_git()

    def start(self) -> None:
        """Make the repository. Raises ClocheError."""
        self("init", "--quiet", "--template=", "--initial-branch=cloche")
        for name, value in SAFE.items():
            self("config", name, value)
        (self.repository / "info").mkdir(exist_ok=True)
        (self.repository / "info/attributes").write_text(ATTRIBUTES)

    def commit(self, tree: str, text: str, parent: str | None) -> str:
        """Commit a tree on top of another commit, and move HEAD and the index there."""
        parents = ["-p", parent] if parent else []
        made = self("commit-tree", "--no-gpg-sign", *parents, "-F", "-", tree, stdin=text.encode())
        commit = made.decode().strip()
        self("update-ref", "HEAD", commit)
        self("read-tree", commit)
        return commit

    def tree(self, *, without: tuple[str, ...] = ()) -> str:
        """The id of the tree that the files make now; those that patterns name stay as they were.

        The user's index is left alone.
        """
        (self.repository / "info/attributes").write_text(ATTRIBUTES)
        own = {"GIT_INDEX_FILE": str(self.repository / "cloche.index")}
        if not (self.repository / "cloche.index").exists():
            self("read-tree", "HEAD" if self.has("HEAD") else "--empty", more=own)
        patterns = [f":(exclude,glob)**/{each}" for each in without]
        self("add", "--all", "--force", "--", ".", *patterns, more=own)
        return self("write-tree", more=own).decode().strip()

    def has(self, commit: str) -> bool:
        """Whether there is such a commit."""
        words = ("rev-parse", "--quiet", "--verify", f"{commit}^{{commit}}")
        return self._run(words, b"", {}).returncode == 0

    def __call__(self, *words: str, stdin: bytes = b"", more: Mapping[str, str] = {}) -> bytes:
        """Run a command of git; its output. Raises ClocheError."""
        done = self._run(words, stdin, more)
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"]
            what = f"git {words[0]}: {said[-1]}"
            raise ClocheError(what, where=self.directory, status=Exit.FAILED)
        return done.stdout

    def _run(
        self, words: tuple[str, ...], stdin: bytes, more: Mapping[str, str]
    ) -> subprocess.CompletedProcess[bytes]:
        settings = [word for name, value in _OURS.items() for word in ("-c", f"{name}={value}")]
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": "/nonexistent",
            "LC_ALL": "C",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_DIR": str(self.repository),
            "GIT_WORK_TREE": str(self.directory),
            **{f"GIT_{who}_NAME": "cloche" for who in ("AUTHOR", "COMMITTER")},
            **{f"GIT_{who}_EMAIL": "cloche@localhost" for who in ("AUTHOR", "COMMITTER")},
            **{f"GIT_{who}_DATE": _WHEN for who in ("AUTHOR", "COMMITTER")},
            **more,
        }
        try:
            return subprocess.run(
                ["git", *settings, *words],
                cwd=self.directory,
                env=environment,
                input=stdin,
                capture_output=True,
                check=False,
            )
        except FileNotFoundError as error:
            raise no_git() from error


def no_git() -> ClocheError:
    """This host has no git."""
    todo = "install dev-vcs/git (Debian: git)"
    return ClocheError("git is not installed", where="cloche patch", todo=todo, status=Exit.HOST)
