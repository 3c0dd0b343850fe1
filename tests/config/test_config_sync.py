"""Repositories that are taken from elsewhere: what may be said of them, and what not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cloche.config.errors import ConfigError
from cloche.config.project import load_project
from cloche.config.sync import Sync


def declared(place: Path, text: str) -> Sync | None:
    (place / "cloche.toml").write_text(f"[repos.gentoo]\n{text}\n")
    return load_project(place).repos["gentoo"].sync


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ('path = "repo"', None),
        ('sync_type = "webrsync"', Sync("webrsync")),
        (
            'sync_type = "git"\nsync_uri = "https://example.org/a.git"\nsync_branch = "stable"',
            Sync("git", "https://example.org/a.git", "stable", verify=False),
        ),
        (
            'sync_type = "git"\nsync_uri = "ssh://git@example.org/a"\n'
            'sync_openpgp_key_path = "/keys.asc"',
            Sync("git", "ssh://git@example.org/a", keyring=Path("/keys.asc")),
        ),
        (
            'sync_type = "rsync"\nsync_uri = "rsync://example.org/gentoo"\nsync_verify = false',
            Sync("rsync", "rsync://example.org/gentoo", verify=False),
        ),
        ('sync_type = "squashfs"\nsync_uri = "/srv/m"', Sync("squashfs", "file:///srv/m")),
    ],
)
def test_what_is_declared_is_read(tmp_path: Path, text: str, wanted: Sync | None) -> None:
    assert declared(tmp_path, text) == wanted


def test_a_path_is_relative_to_the_file(tmp_path: Path) -> None:
    sync = declared(tmp_path, 'sync_type = "git"\nsync_uri = "../a b"')
    assert sync is not None
    assert sync.uri == f"{tmp_path}/../a%20b".join(("file://", ""))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('sync_type = "gti"\nsync_uri = "x"', "did you mean “git”"),
        ('sync_type = "git"', "sync_uri"),
        ('sync_uri = "https://example.org"', "sync_type"),
        ('path = "repo"\nsync_type = "webrsync"', "both path and sync_type"),
        ('sync_type = "git"\nsync_uri = "ext::sh -c touch% /tmp/x"', "not an address for git"),
        ('sync_type = "git"\nsync_uri = "host:path"', "not an address for git"),
        ('sync_type = "rsync"\nsync_uri = "https://example.org"', "begin with rsync://"),
        ('sync_type = "webrsync"\nsync_uri = "ftp://example.org"', "not an address for webrsync"),
        ('sync_type = "git"\nsync_uri = "https://[x"', "not an address for git"),
        ('sync_type = "git"\nsync_uri = "/a"\nsync_branch = "--upload-pack=x"', "not a branch"),
        ('sync_type = "webrsync"\nsync_branch = "x"', "only git has branches"),
        ('sync_type = "webrsync"\nsync_depth = 1', "unknown key"),
        ('sync_type = "webrsync"\nsync_verify = "no"', "sync_verify"),
    ],
)
def test_what_is_wrong_is_told(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        declared(tmp_path, text)
    assert says in str(caught.value)
    assert re.search(r":\d+$", str(caught.value.where))
