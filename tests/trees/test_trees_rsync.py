"""Repositories by rsync from a real daemon, with real Manifests signed by a real key."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from gemato.recursiveloader import ManifestRecursiveLoader
from tests.mirrors import signer
from tests.trees.published import Ground

from cloche.config import lock as locks
from cloche.config.errors import Origin
from cloche.config.sync import Sync
from cloche.fetching.errors import SignatureError
from cloche.trees.errors import ManifestError, SyncProgramError, TreeDriftError, TreeError
from cloche.trees.methods import SyncRequest
from cloche.trees.rsync import source_of


def sign(ground: Ground, day: int = 1) -> None:
    """Write the Manifests (GLEP 74) and sign the one at the top."""
    top = ground.published / "Manifest"
    top.unlink(missing_ok=True)
    made = ManifestRecursiveLoader(
        str(top), verify_openpgp=False, allow_create=True, hashes=["BLAKE2B", "SHA512"]
    )
    made.update_entries_for_directory("")
    made.set_timestamp(datetime(2026, 11, day, tzinfo=UTC))
    made.save_manifests()
    top.write_text(ground.key.clear(top.read_text()))
    os.utime(top, (day, day))


@pytest.fixture
def daemon(ground: Ground) -> Iterator[str]:
    """An rsync daemon on loopback that serves the repository; its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = ground.directory / "rsyncd.conf"
    config.write_text(
        f"use chroot = no\nuid = 0\ngid = 0\n[tree]\npath = {ground.published}\nread only = yes\n"
    )
    command = ["rsync", "--daemon", "--no-detach", f"--config={config}", "--address=127.0.0.1"]
    with subprocess.Popen([*command, f"--port={port}"]) as process:
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        try:
            yield f"rsync://127.0.0.1:{port}/tree"
        finally:
            process.terminate()


@pytest.fixture
def declared(ground: Ground, daemon: str) -> str:
    ground.declare(sync_type="rsync", sync_uri=daemon, sync_openpgp_key_path=str(ground.keys))
    sign(ground)
    return daemon


def test_a_signed_tree_is_taken_and_pinned(ground: Ground, declared: str) -> None:
    taken, new = ground.sync()
    assert new
    assert taken.pin.timestamp == "2026-11-01T00:00:00Z"
    assert (taken.path / "app-misc/one/one-1.ebuild").is_file()
    assert locks.read(ground.lock).repos["overlay"] == taken.pin
    assert ground.sync() == (taken, False)


def test_what_was_taken_away_goes(ground: Ground, declared: str) -> None:
    ground.sync()
    (ground.published / "app-misc/one/one-1.ebuild").rename(
        ground.published / "app-misc/one/one-2.ebuild"
    )
    sign(ground, day=2)
    taken, _ = ground.sync()
    assert [path.name for path in (taken.path / "app-misc/one").glob("*.ebuild")] == [
        "one-2.ebuild"
    ]


def test_a_mirror_that_is_behind_is_refused(ground: Ground, declared: str) -> None:
    sign(ground, day=5)
    taken, _ = ground.sync()
    sign(ground, day=4)
    with pytest.raises(TreeError, match="2026-11-04"):
        ground.sync()
    assert ground.found() == taken


def test_a_mirror_that_has_moved_on_is_not_what_is_locked(ground: Ground, declared: str) -> None:
    taken, _ = ground.sync()
    (ground.published / "README").write_text("new")
    sign(ground, day=2)
    ground.forget(taken)
    with pytest.raises(TreeDriftError, match=r"2026-11-01.* is locked, 2026-11-02"):
        ground.sync(update=False)


@pytest.mark.parametrize("kind", ["changed", "stray", "missing"])
def test_what_the_manifest_does_not_say_is_refused(
    ground: Ground, declared: str, kind: str
) -> None:
    ebuild = ground.published / "app-misc/one/one-1.ebuild"
    if kind == "changed":
        ebuild.write_text("EAPI=8 # evil")
    elif kind == "stray":
        ebuild.with_name("one-9.ebuild").write_text("EAPI=8")
    else:
        ebuild.unlink()
    with pytest.raises(ManifestError, match="one-"):
        ground.sync()
    assert not ground.lock.exists()


@pytest.mark.parametrize("kind", ["unsigned", "none", "stranger"])
def test_a_manifest_that_nobody_signed_is_refused(ground: Ground, declared: str, kind: str) -> None:
    top = ground.published / "Manifest"
    if kind == "none":
        top.unlink()
        with pytest.raises(ManifestError, match="it has none"):
            ground.sync()
        return
    body = top.read_text().split("\n\n", 1)[1].split("-----BEGIN PGP SIGNATURE")[0]
    if kind == "unsigned":
        top.write_text(body)
        with pytest.raises(SignatureError, match="not signed"):
            ground.sync()
        return
    with signer("stranger") as other:
        top.write_text(other.clear(body))
        with pytest.raises(SignatureError, match="not in the keyring"):
            ground.sync()


def test_without_verification_there_is_no_time(ground: Ground, declared: str) -> None:
    (ground.published / "stray").write_text("new")
    ground.declare(sync_type="rsync", sync_uri=declared, sync_verify=False)
    assert ground.sync()[0].pin.timestamp == ""


def test_what_no_manifest_covers_stays_out(ground: Ground, declared: str) -> None:
    hidden = ground.published / "app-misc/one/files/.hidden"  # GLEP 74: dotfiles are ignored
    hidden.parent.mkdir()
    hidden.write_text("whatever a mirror likes")
    assert not (ground.sync()[0].path / "app-misc/one/files/.hidden").exists()


def test_a_password_is_apart_from_the_address(ground: Ground) -> None:
    sync = Sync("rsync", "rsync://me:se%20cret@mirror.test/tree/")
    wanted = SyncRequest("overlay", sync, Origin(ground.directory))
    assert source_of(wanted) == ("rsync://me@mirror.test/tree/", "se cret")


def test_links_out_of_the_tree_stay_out(ground: Ground, declared: str) -> None:
    (ground.published / "profiles/out").symlink_to("/etc/passwd")
    ground.declare(sync_type="rsync", sync_uri=declared, sync_verify=False)
    assert not (ground.sync()[0].path / "profiles/out").is_symlink()


def test_what_rsync_says_is_told(ground: Ground, daemon: str) -> None:
    ground.declare(sync_type="rsync", sync_uri=daemon.replace("/tree", "/other"), sync_verify=False)
    with pytest.raises(SyncProgramError) as caught:
        ground.sync()
    assert "Unknown module" in str(caught.value) + (caught.value.detail or "")
