"""Repositories by git: pinned by commit, taken again, signed, and running nothing."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support import cannot
from tests.trees.published import Ground

import cloche.trees.git
from cloche.config import lock as locks
from cloche.errors import Exit
from cloche.fetching.errors import SignatureError
from cloche.portage.repository import RepositoryError
from cloche.trees.errors import SyncProgramError, TreeError
from cloche.trees.git import signed_parts

Git = Callable[..., str]


@pytest.fixture
def upstream(ground: Ground, git: Git) -> Path:
    """The published repository, in git, with one commit."""
    git(ground.published, "init", "--quiet", "--initial-branch=main")
    commit(ground, git)
    ground.declare(sync_type="git", sync_uri=ground.published.as_uri())
    return ground.published


def commit(ground: Ground, git: Git, *words: str) -> str:
    git(ground.published, "add", "--all")
    git(ground.published, *words, "commit", "--quiet", "--message=work")
    return git(ground.published, "rev-parse", "HEAD")


def test_the_tip_is_taken_and_pinned(ground: Ground, upstream: Path, git: Git) -> None:
    head = git(upstream, "rev-parse", "HEAD")
    taken, new = ground.sync()
    assert new
    assert taken.pin.commit == head
    assert (taken.path / "app-misc/one/one-1.ebuild").is_file()
    assert not (taken.path / ".git").exists()
    assert locks.read(ground.lock).repos["overlay"] == taken.pin
    assert ground.sync() == (ground.found(), False)


def test_only_a_sync_moves_the_pin(ground: Ground, upstream: Path, git: Git) -> None:
    first, _ = ground.sync()
    (upstream / "app-misc/one/one-2.ebuild").write_text("EAPI=8\n")
    head = commit(ground, git)
    assert ground.sync(update=False)[0].pin == first.pin
    second, _ = ground.sync()
    assert second.pin.commit == head
    assert second.pin.tree != first.pin.tree
    assert ground.found() == second
    assert (first.path / "profiles").is_dir()  # until it is given up


@pytest.mark.parametrize("protocol", ["2", "0"])
def test_the_locked_commit_is_taken_again(
    ground: Ground, upstream: Path, git: Git, protocol: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a server that gives any commit, and from one that gives tips of branches alone."""
    monkeypatch.setitem(cloche.trees.git._CONFIG, "protocol.version", protocol)
    first, _ = ground.sync()
    (upstream / "README").write_text("new")
    commit(ground, git)
    ground.forget(first)
    assert ground.found() is None
    again, new = ground.sync(update=False)
    assert new
    assert again.pin == first.pin


def test_a_commit_that_is_gone_is_told(ground: Ground, upstream: Path, git: Git) -> None:
    first, _ = ground.sync()
    (upstream / "README").write_text("other")
    git(upstream, "add", "--all")
    git(upstream, "commit", "--quiet", "--amend", "--message=again")
    git(upstream, "reflog", "expire", "--expire=now", "--all")
    git(upstream, "gc", "--quiet", "--prune=now")
    ground.forget(first)
    with pytest.raises(TreeError, match=f"does not give the commit {first.pin.commit[:12]}"):
        ground.sync(update=False)


def test_a_branch_is_taken(ground: Ground, upstream: Path, git: Git) -> None:
    git(upstream, "branch", "stable")
    old = git(upstream, "rev-parse", "stable")
    (upstream / "README").write_text("new")
    commit(ground, git)
    ground.declare(sync_type="git", sync_uri=str(upstream), sync_branch="stable")
    assert ground.sync()[0].pin.commit == old


def test_nothing_of_a_repository_runs(
    ground: Ground, upstream: Path, git: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even filters and hooks that the user's own configuration knows."""
    home, ran = ground.directory / "home", ground.directory / "ran"
    (home / "hooks").mkdir(parents=True)
    for hook in ("post-checkout", "reference-transaction", "post-index-change"):
        (home / "hooks" / hook).write_text(f"#!/bin/sh\ntouch {ran}\n")
        (home / "hooks" / hook).chmod(0o755)
    config = (
        f'[filter "evil"]\nsmudge = touch {ran}; cat\nclean = cat\n'
        f"[core]\nhooksPath = {home / 'hooks'}\n"
    )
    (home / ".gitconfig").write_text(config)
    (upstream / "profiles/.gitattributes").write_text("* filter=evil\n")
    (upstream / ".gitattributes").write_text("* filter=evil\n")
    (upstream / ".gitmodules").write_text('[submodule "s"]\npath = s\nurl = ext::touch\n')
    commit(ground, git)
    monkeypatch.setenv("HOME", str(home))
    ground.sync()
    assert not ran.exists()
    # Somebody who reads that configuration does run it:
    clone = ("git", "clone", "--quiet", upstream, ground.directory / "clone")
    subprocess.run(clone, check=True)
    assert ran.exists()


def test_a_link_out_of_the_tree_is_refused(ground: Ground, upstream: Path, git: Git) -> None:
    (upstream / "profiles/link").symlink_to("/etc/passwd")
    commit(ground, git)
    with pytest.raises(RepositoryError, match="leads out"):
        ground.sync()
    assert not ground.lock.exists()


def test_another_name_is_refused(ground: Ground, upstream: Path, git: Git) -> None:
    (upstream / "profiles/repo_name").write_text("other\n")
    commit(ground, git)
    with pytest.raises(RepositoryError, match="calls itself “other”"):
        ground.sync()


def test_another_users_repository_is_taken(ground: Ground, upstream: Path, git: Git) -> None:
    if os.geteuid() != 0:
        cannot("only root can give files away")
    head = git(upstream, "rev-parse", "HEAD")
    for path in (upstream, upstream / ".git"):
        os.chown(path, 1, 1)
    assert ground.sync()[0].pin.commit == head


def test_locks_of_a_killed_git_are_in_nobodys_way(ground: Ground, upstream: Path, git: Git) -> None:
    ground.sync()
    (upstream / "app-misc/one/one-2.ebuild").write_text("EAPI=8\n")
    head = commit(ground, git)
    (bare,) = (ground.store.path / "downloads").glob("git-*")
    for name in ("shallow.lock", "refs/cloche/tip.lock", "config.lock"):
        (bare / name).touch()
    assert ground.sync()[0].pin.commit == head


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_git_ends_with_cloche_however_that_ends(ground: Ground, how: signal.Signals) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(60)
        ground.declare(sync_type="git", sync_uri=f"git://127.0.0.1:{server.getsockname()[1]}/x")
        words = ("--store", ground.directory / "own", "repo", "sync")
        command = [sys.executable, "-m", "cloche.cli", *words]
        with subprocess.Popen(command, cwd=ground.lock.parent, stderr=subprocess.DEVNULL) as cloche:
            connection, _ = server.accept()
            connection.settimeout(60)
            cloche.send_signal(how)
        assert cloche.returncode == (-9 if how == signal.SIGKILL else Exit.INTERRUPTED)
        with connection:
            while connection.recv(4096):  # git asks, and waits for an answer for ever
                pass


def test_passwords_are_not_told(ground: Ground) -> None:
    ground.declare(sync_type="git", sync_uri="https://me:secret@127.0.0.1:1/x")
    with pytest.raises(SyncProgramError) as caught:
        ground.sync()
    told = f"{caught.value} {caught.value.detail} {' '.join(ground.said)}"
    assert "127.0.0.1" in told
    assert "secret" not in told


def test_what_git_says_is_told(ground: Ground) -> None:
    ground.declare(sync_type="git", sync_uri="file:///nonexistent/repo.git")
    with pytest.raises(SyncProgramError) as caught:
        ground.sync()
    assert "git could not fetch file:///nonexistent/repo.git" in str(caught.value)
    assert "nonexistent" in (caught.value.detail or "")


def test_a_signed_commit_is_checked(ground: Ground, upstream: Path, git: Git) -> None:
    words = {"sync_type": "git", "sync_uri": str(upstream)}
    ground.declare(**words, sync_openpgp_key_path=str(ground.keys))
    with pytest.raises(SignatureError, match="not signed"):
        ground.sync()
    program = ground.directory / "gpg"
    program.write_text(f'#!/bin/sh\nexec gpg --homedir {ground.key.home} --batch "$@"\n')
    program.chmod(0o755)
    (upstream / "README").write_text("signed")
    key = ground.key.fingerprint
    signed = ("-c", f"gpg.program={program}", "-c", f"user.signingKey={key}",
              "-c", "commit.gpgSign=true")  # fmt: skip
    head = commit(ground, git, *signed)
    assert ground.sync()[0].pin.commit == head
    text = git(upstream, "cat-file", "commit", head)
    assert signed_parts(text.encode())[1].startswith(b"-----BEGIN PGP SIGNATURE-----\n")


def test_the_signature_of_other_content_is_refused(
    ground: Ground, upstream: Path, git: Git
) -> None:
    """A signature that is moved to another commit."""
    signature = ground.directory / "payload"
    signature.write_text("other content")
    header = ground.key.detached(signature).strip().replace("\n", "\n ")
    head, blank, message = git(upstream, "cat-file", "commit", "HEAD").partition("\n\n")
    forged = ground.directory / "forged"
    forged.write_text(f"{head}\ngpgsig {header}{blank}{message}\n")
    made = git(upstream, "hash-object", "-t", "commit", "-w", str(forged))
    git(upstream, "update-ref", "refs/heads/main", made)
    ground.declare(sync_type="git", sync_uri=str(upstream), sync_openpgp_key_path=str(ground.keys))
    with pytest.raises(SignatureError, match="bad signature"):
        ground.sync()
