"""Accounts of a root, by its files alone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cloche.guest import accounts


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Files of accounts to try things on."""
    (tmp_path / "passwd").write_text("root:x:0:0::/root:/bin/sh\ntoor:x:0:0::/root:/bin/sh\n")
    (tmp_path / "group").write_text("root:x:0:\nwheel:x:0:\nothers:x:1000:\n")
    (tmp_path / "skel").mkdir()
    (tmp_path / "skel/.profile").write_text("# from skel\n")
    for name in ("PASSWD", "GROUP", "SHADOW", "GSHADOW", "SKEL"):
        monkeypatch.setattr(accounts, name, str(tmp_path / name.lower()))
    return tmp_path


def test_an_id_that_two_accounts_have_names_the_first() -> None:
    with pytest.raises(ValueError, match="the ID 0 is root's in"):
        accounts.group("third:0")
    with pytest.raises(ValueError, match="the ID 00 is root's in"):
        accounts.user("third:00:others::::")


@pytest.mark.parametrize(
    "home", ["/dev/null", "/dev/none", "/proc/none", "/nonexistent", "/nonexistent/a", "//dev/x"]
)
def test_a_home_that_is_none_is_not_made(root: Path, home: str) -> None:
    assert not accounts.is_home(home)
    there = os.path.lexists(home)
    accounts.user(f"daemon:::::{home}:")
    assert os.path.lexists(home) == there
    assert f"daemon:x:1000:1001::{home}:" in (root / "passwd").read_text()
    with pytest.raises(LookupError, match=f"daemon has no home directory for keys: {home}"):
        accounts.ssh_keys(["daemon", "ssh-ed25519 AAAA"])


def test_another_home_is_made_from_skel(root: Path) -> None:
    for home in (root / "home/larry", root / "dev/null"):
        accounts.user(f"{home.name}:{os.geteuid()}:others:::{home}:".replace(":0:", "::"))
        assert (home / ".profile").read_text() == "# from skel\n"
        assert home.stat().st_mode & 0o777 == 0o700


def test_a_home_below_a_file_is_refused(root: Path) -> None:
    for home in (root / "passwd/larry", root / "passwd/a/larry"):
        with pytest.raises(ValueError, match="cannot be a home: something above it is a file"):
            accounts.user(f"larry:::::{home}:")


def test_other_lines_stay_as_they_are(root: Path) -> None:
    """Also empty ones, and what Python takes for the end of a line, but no other program."""
    before = "root:x:0:0:a\u2028b\x0bc:/root:/bin/sh\n\n+::::::\n"
    (root / "passwd").write_text(before)
    accounts.user("larry::others::::")
    assert (root / "passwd").read_text().startswith(before)
