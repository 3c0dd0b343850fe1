"""The listing of a root: what the script writes, and what of a hostile one is refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support import ROOT

from cloche.errors import ClocheError
from cloche.store import walk
from cloche.targets.listing import Listing, decode_listing

SCRIPT = ROOT / "src/cloche/client/root_listing.py"
TOP = ["", "d", 0o755]


def listed(root: Path, apart: tuple[str, ...] = (), shadows: tuple[str, ...] = ()) -> bytes:
    """What the script says of a root."""
    request = json.dumps({"root": str(root), "apart": apart, "shadows": shadows})
    done = subprocess.run(
        [sys.executable, "-", request], input=SCRIPT.read_bytes(), capture_output=True, check=True
    )
    return done.stdout


def packed(*rows: object, count: int | None = None) -> bytes:
    """A listing of these rows."""
    end = ["", "end", {"count": len(rows) if count is None else count, "began": 100}]
    return zlib.compress(b"".join(json.dumps(row).encode() + b"\n" for row in (*rows, end)))


def decoded(*rows: object, count: int | None = None) -> Listing:
    return decode_listing(packed(*rows, count=count), "ssh://there")


def test_a_root_is_listed_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "usr/bin").mkdir(parents=True)
    (tmp_path / "usr/bin/a").write_text("one")
    (tmp_path / "usr/bin/a").chmod(0o4755)
    (tmp_path / "usr/bin/b").hardlink_to(tmp_path / "usr/bin/a")
    (tmp_path / "bin").symlink_to("usr/bin")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/odd\n\xff\\name")).touch()
    os.utime(tmp_path / "usr", (1_700_000_000, 1_700_000_000))
    found = decode_listing(listed(tmp_path), "here").entries
    wanted = {entry.path: entry for entry in walk(tmp_path, content=False)}
    assert list(found) == list(wanted)
    for name, entry in wanted.items():
        for field in ("type", "mode", "uid", "gid", "size", "target", "xattrs", "link"):
            assert getattr(found[name], field) == getattr(entry, field), (name, field)
        assert found[name].mtime_ns // 10**9 == entry.mtime_ns // 10**9


def test_secrets_and_data_of_users_are_not_in_it(tmp_path: Path) -> None:
    for name in ("etc/ssh", "home/larry", "var/lib/db", "var/lib/portage", "var/db/pkg/a/b-1"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("etc/ssh/key", "home/larry/diary", "var/lib/db/table", "etc/krb5.keytab"):
        (tmp_path / name).write_text("secret")
    (tmp_path / "var/lib/portage/world").write_text("a/b\n")
    (tmp_path / "var/lib/db/owned").write_text("a package's")
    contents = "dir /var\nobj /var/lib/db/owned 0cc175b9c0f1b6a831c399e269772661 1\n"
    (tmp_path / "var/db/pkg/a/b-1/CONTENTS").write_text(contents)
    (tmp_path / "etc/shadow").write_text("root:$6$salt$hash:1::::::\nbin:*:1::::::\n")
    apart = ("etc/ssh", "home", "etc/krb5.keytab")
    answer = listed(tmp_path, apart, ("etc/shadow",))
    found = decode_listing(answer, "here")
    assert b"secret" not in zlib.decompress(answer)
    assert b"hash" not in zlib.decompress(answer)
    assert found.contents == {b"etc/shadow": b"root:!:1::::::\nbin:*:1::::::\n"}
    assert {os.fsdecode(name) for name in found.entries if b"." not in name} >= {
        "etc/ssh",
        "home",
        "var/lib/portage/world",
        "var/lib/db/owned",
        "var/db/pkg/a/b-1/CONTENTS",
    }
    hidden = {b"etc/ssh/key", b"home/larry", b"var/lib/db/table", b"etc/krb5.keytab"}
    assert not hidden & found.entries.keys()


def test_repositories_are_empty_directories(tmp_path: Path) -> None:
    (tmp_path / "usr/portage/profiles").mkdir(parents=True)
    (tmp_path / "usr/portage/profiles/repo_name").write_text("gentoo")
    assert list(decode_listing(listed(tmp_path), "here").entries) == [b"", b"usr", b"usr/portage"]


def test_files_that_were_just_written_have_no_stamp() -> None:
    old, new = ["a", "f", 0o644, 0, 0, 5, 0, 97], ["b", "f", 0o644, 0, 0, 5, 0, 98]
    assert decoded(TOP, old, new).stamps == {b"a": 97}


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([["etc", "d", 0o755]], "it does not begin with the root"),
        ([TOP, ["..", "d", 0o755]], "the name '..'"),
        ([TOP, ["a", "d", 0o755], ["a/../../b", "f", 0o644]], "is not in a directory"),
        ([TOP, ["a", "d", 0o755], ["a/..", "f", 0o644]], "the name 'a/..'"),
        ([TOP, ["/etc", "d", 0o755]], "the name '/etc'"),
        ([TOP, ["a\0b", "f", 0o644]], "the name 'a\\x00b'"),
        ([TOP, ["x" * 256, "f", 0o644]], "the name 'xxx"),
        ([TOP, ["l", "l", 0, 0, 0, 0, 0, 0, "", "/etc"], ["l/a", "f", 0o644]], "not in a dir"),
        ([TOP, ["a", "f", 0o644], ["a", "f", 0o644]], "is one too many"),
        ([TOP, ["sda", "b", 0o644]], "a name of the kind “b”"),
        ([TOP, ["null", "c", 0o666]], "a name of the kind “c”"),
        ([TOP, ["a", "f", 0o644, -1]], "invalid numbers"),
        ([TOP, ["a", "f", 0o644, 0, 0, 0, 1 << 51]], "invalid numbers"),
        ([TOP, ["a", "f", 0o777777]], "invalid numbers"),
        ([TOP, ["a", "f", "x"]], "invalid numbers"),
        ([TOP, ["l", "l", 0]], "a link to nothing"),
        ([TOP, ["a", "f", 0, 0, 0, 0, 0, 0, "", "", [["user.overlay.opaque", "eQ=="]]]], "attribu"),
        ([TOP, ["a", "f", 0, 0, 0, 0, 0, 0, "", "", [["user.x", "?"]]]], "base64"),
        ([TOP, ["a", "f", 0, 0, 0, 0, 9, 0, "", "", [], "eQ=="]], "another size"),
        ([TOP, ["☃", "f", 0o644]], "latin-1"),
        ([TOP, ["a"]], "expected"),
    ],
)
def test_a_listing_that_cannot_be_right_is_refused(rows: list[object], reason: str) -> None:
    with pytest.raises(ClocheError) as caught:
        decoded(*rows)
    assert "the listing of its root is malformed" in str(caught.value)
    assert reason.lower() in str(caught.value).lower()
    assert "\n" not in str(caught.value)


def test_owners_that_no_sandbox_has_are_named() -> None:
    with pytest.raises(ClocheError, match=r"'a' belongs to 70000:0.*--leave-out"):
        decoded(TOP, ["a", "f", 0o644, 70000])


@pytest.mark.parametrize("cut", [1, 20, -1])
def test_a_listing_that_is_cut_off_is_refused(cut: int) -> None:
    with pytest.raises(ClocheError, match="malformed"):
        decode_listing(packed(TOP, ["a", "f", 0o644])[:cut], "there")
    with pytest.raises(ClocheError, match="its end does not fit"):
        decoded(TOP, ["a", "f", 0o644], count=3)


def test_a_bomb_is_refused() -> None:
    with pytest.raises(ClocheError, match="a line is too long"):
        decode_listing(zlib.compress(b"[" * (1 << 27)), "there")


@given(st.binary(max_size=300), st.booleans())
def test_no_bytes_do_more_than_be_refused(content: bytes, compressed: bool) -> None:
    with pytest.raises(ClocheError):
        decode_listing(zlib.compress(content) if compressed else content, "there")
