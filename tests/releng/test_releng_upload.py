"""Hooks upload with rsync: to a real daemon on loopback."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support import cannot

from cloche.releng.auto_conf import read_auto_conf
from cloche.releng.auto_hooks import Hooks
from cloche.releng.journal import HookEnded

pytestmark = pytest.mark.real

CONF = """\
UPLOAD_DEST={address}/incoming/
UPLOAD_BINPACKAGES={address}/packages

post_build() {{
	cd {place}/builds
	upload stage3-*.xz* && upsync_binpackages {place}/pkgdir "amd64/23.0/$1"
}}
"""


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """The address of a daemon's module, whose directory is ``there``."""
    if shutil.which("rsync") is None:
        cannot("rsync is not installed")
    for name in ("incoming", "packages"):
        (tmp_path / "there" / name).mkdir(parents=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    conf = tmp_path / "rsyncd.conf"
    conf.write_text(
        f"use chroot = no\nuid = {os.getuid()}\ngid = {os.getgid()}\n"
        f"[mirror]\npath = {tmp_path}/there\nread only = no\n"
    )
    words = ["rsync", "--daemon", "--no-detach", f"--config={conf}", "--address=127.0.0.1"]
    daemon = subprocess.Popen([*words, f"--port={port}"], stdin=subprocess.DEVNULL)
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.05)
    yield f"rsync://127.0.0.1:{port}/mirror"
    daemon.terminate()
    daemon.wait()


def hooks(place: Path, address: str, nonetwork: str) -> Hooks:
    file = place / "auto.conf"
    file.write_text(CONF.format(address=address, place=place))
    (place / "builds").mkdir(exist_ok=True)
    for name in ("stage3-a b.tar.xz", "stage3-a b.tar.xz.DIGESTS", "other.txt"):
        (place / "builds" / name).write_text(name)
    (place / "pkgdir/app-misc").mkdir(parents=True, exist_ok=True)
    (place / "pkgdir/app-misc/a.gpkg.tar").write_text("a")
    environment = {"nonetwork": nonetwork}
    return Hooks(read_auto_conf([file], {}), environment, place, place, lambda event: None)


def test_results_and_packages_arrive(tmp_path: Path, address: str) -> None:
    assert hooks(tmp_path, address, "0")("post_build", "x86-64", "stage3.spec"), (
        tmp_path / "post_build.log"
    ).read_text()
    there = tmp_path / "there"
    found = {str(p.relative_to(there)) for p in there.rglob("*") if p.is_file()}
    assert found == {
        "incoming/stage3-a b.tar.xz",
        "incoming/stage3-a b.tar.xz.DIGESTS",
        "packages/amd64/23.0/x86-64/app-misc/a.gpkg.tar",
    }


def test_without_network_nothing_is_sent(tmp_path: Path, address: str) -> None:
    assert hooks(tmp_path, address, "1")("post_build", "x86-64", "stage3.spec")
    assert not [p for p in (tmp_path / "there").rglob("*") if p.is_file()]
    assert "would upload to rsync://" in (tmp_path / "post_build.log").read_text()


def test_an_upload_that_fails_is_a_hook_that_fails(tmp_path: Path) -> None:
    assert not hooks(tmp_path, "rsync://127.0.0.1:1/mirror", "0")("post_build", "a", "b")


def test_a_hook_fails_if_an_upload_did_whatever_comes_after_it(tmp_path: Path) -> None:
    (tmp_path / "auto.conf").write_text(
        """\
UPLOAD_DEST=rsync://127.0.0.1:1/mirror/
post_build() {
	upload "$1" || echo "$1 failed"
	upload "$1" && echo "not here"
	popd() { true; }
	popd
}
"""
    )
    (tmp_path / "a").touch()
    ended: list[HookEnded] = []
    conf = read_auto_conf([tmp_path / "auto.conf"], {})
    for nonetwork, status in (("0", False), ("1", True)):
        call = Hooks(conf, {"nonetwork": nonetwork}, tmp_path, tmp_path, ended.append)
        assert call("post_build", "a", "") is status
    assert [each.status == 0 for each in ended] == [False, True]
    assert "a failed" in (tmp_path / "post_build.log").read_text()
