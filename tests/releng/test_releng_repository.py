"""catalyst's git repository: tree-ishes, the signed branch `stable`, and what goes wrong."""

from __future__ import annotations

import os
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.mirrors import Signer, signer

from cloche.catalyst.conf import Conf, read_conf
from cloche.config.errors import ConfigError, Origin
from cloche.errors import ClocheError
from cloche.fetching.errors import SignatureError
from cloche.releng.repository import archive, commit_of, git_directory, updated
from cloche.releng.snapshot import find_snapshot

Git = Callable[..., str]
ORIGIN = Origin(Path("x.spec"), 2)


@pytest.fixture(scope="module")
def key() -> Iterator[Signer]:
    with signer() as made:
        yield made


@pytest.fixture
def git(tmp_path: Path, key: Signer) -> Git:
    """Run git as the publisher of a repository, who signs commits with `-S`."""
    program = tmp_path / "gpg"
    program.write_text(f'#!/bin/sh\nexec gpg --homedir {key.home} --batch "$@"\n')
    program.chmod(0o755)
    names = ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL")
    env = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1"}
    env |= dict.fromkeys(names, "somebody@test.invalid")
    settings = ("-c", f"gpg.program={program}", "-c", f"user.signingKey={key.fingerprint}")

    def run(place: Path, *words: str | Path) -> str:
        command = ["git", *settings, "-C", place, *words]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    return run


@pytest.fixture
def upstream(tmp_path: Path, git: Git) -> Path:
    """A published repository whose branch `stable` has one signed commit."""
    place = tmp_path / "upstream"
    place.mkdir()
    git(place, "init", "--quiet", "--initial-branch=stable")
    (place / "file").write_text("first")
    git(place, "add", "--all")
    git(place, "commit", "--quiet", "-S", "-m", "first")
    return place


@pytest.fixture
def conf(tmp_path: Path, key: Signer, upstream: Path, git: Git) -> Conf:
    """catalyst.conf whose repository is a clone of it."""
    keys = tmp_path / "keys.asc"
    key.keyring(keys)
    file = tmp_path / "catalyst.conf"
    file.write_text(
        f'storedir = "{tmp_path}/store"\nrepo_name = "own"\nrepo_openpgp_key_path = "{keys}"\n'
    )
    gitdir = tmp_path / "store/repos/own.git"
    gitdir.parent.mkdir(parents=True)
    git(tmp_path, "clone", "--quiet", "--bare", "--depth=1", f"file://{upstream}", gitdir)
    return read_conf([file])


def commit(git: Git, upstream: Path, text: str, *words: str) -> str:
    (upstream / "file").write_text(text)
    git(upstream, "commit", "--quiet", "--all", "-m", text, *words)
    return git(upstream, "rev-parse", "HEAD")


def test_stable_is_the_newest_signed_commit(conf: Conf, git: Git, upstream: Path) -> None:
    head = commit(git, upstream, "second", "-S")
    found = find_snapshot(conf, "stable", ORIGIN)
    assert found.commit == found.treeish == head
    assert found.file == Path(conf.text("storedir"), f"snapshots/own-{head}.sqfs")
    assert str(found) == f"Creating own tree snapshot {head} from {git_directory(conf)}"
    assert git(found.gitdir, "rev-parse", "stable") == head


def test_an_unsigned_commit_does_not_become_stable(conf: Conf, git: Git, upstream: Path) -> None:
    before = git(upstream, "rev-parse", "HEAD")
    commit(git, upstream, "unsigned")
    with pytest.raises(SignatureError, match="not signed"):
        updated(conf, git_directory(conf))
    assert git(git_directory(conf), "rev-parse", "stable") == before


def test_without_fetching_stable_is_what_is_there(conf: Conf, git: Git, upstream: Path) -> None:
    before = git(upstream, "rev-parse", "HEAD")
    commit(git, upstream, "second", "-S")
    assert find_snapshot(conf, "stable", ORIGIN, fetch=False).commit == before


def test_a_tag_gives_its_name_to_the_file(conf: Conf, git: Git, upstream: Path) -> None:
    gitdir = git_directory(conf)
    git(gitdir, "tag", "weekly")
    found = find_snapshot(conf, "weekly", ORIGIN)
    assert found.commit == git(upstream, "rev-parse", "HEAD")
    assert found.file.name == "own-weekly.sqfs"


@pytest.mark.parametrize(
    ("treeish", "what"),
    [
        ("nosuch", "has no commit, tag or branch “nosuch”"),
        ("--all", "has no commit, tag or branch “--all”"),
        ("refs/heads/stable", "cannot be part of a file name"),
    ],
)
def test_a_treeish_that_is_not_there_is_refused(conf: Conf, treeish: str, what: str) -> None:
    with pytest.raises(ConfigError, match=what) as raised:
        find_snapshot(conf, treeish, ORIGIN)
    assert raised.value.where == "x.spec:2"


def test_no_repository_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="git repository not found"):
        commit_of(tmp_path / "none.git", "HEAD", ORIGIN)


def test_a_failing_git_archive_is_an_error(conf: Conf, tmp_path: Path) -> None:
    gitdir = git_directory(conf)
    with pytest.raises(ClocheError, match="git archive: "):
        archive(gitdir, "0" * 40, tmp_path / "none.tar")


def test_nothing_of_the_repository_or_the_user_changes_an_archive(
    conf: Conf, git: Git, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gitdir = git_directory(conf)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".gitconfig").write_text("[core]\n\tattributesFile = ~/attributes\n")
    (tmp_path / "attributes").write_text("* export-ignore\n")
    archive(gitdir, "HEAD", tmp_path / "tree.tar")
    with tarfile.open(tmp_path / "tree.tar") as found:
        assert found.getnames() == ["file"]
