from __future__ import annotations

import os
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support import make_device

from cloche.layers import PORTAGE_RULES, Difference, compare, compare_layers
from cloche.layers.xattrtext import xattr_text


@pytest.fixture
def sides(tmp_path: Path) -> tuple[Path, Path]:
    for name in ("a", "b"):
        root = tmp_path / name
        (root / "dir").mkdir(parents=True)
        (root / "dir/file").write_text("content")
        (root / "link").symlink_to("dir")
        (root / "one").write_text("1")
        (root / "two").hardlink_to(root / "one")
        make_device(root / "null", 3)
    return tmp_path / "a", tmp_path / "b"


def replace(path: Path, make: Callable[[Path], object]) -> None:
    path.unlink()
    make(path)


CHANGES: list[tuple[str, str, Callable[[Path], object]]] = [
    ("dir/file", "content", lambda path: path.write_text("Content")),
    ("dir/file", "content", lambda path: path.write_text("more content")),
    ("dir/file", "mode", lambda path: path.chmod(0o600)),
    ("dir", "owner", lambda path: os.chown(path, 1, 2)),
    ("dir", "xattr", lambda path: os.setxattr(path, "user.a", b"b")),
    ("link", "target", lambda path: replace(path, lambda p: p.symlink_to("elsewhere"))),
    ("link", "type", lambda path: replace(path, lambda p: p.write_text("x"))),
    ("two", "links", lambda path: replace(path, lambda p: p.write_text("1"))),
    ("null", "device", lambda path: replace(
        path, lambda p: make_device(p, 5))),
]  # fmt: skip


@pytest.mark.parametrize(("path", "what", "change"), CHANGES)
def test_each_difference_is_named(
    sides: tuple[Path, Path], path: str, what: str, change: Callable[[Path], object]
) -> None:
    a, b = sides
    assert compare(a, b).equal
    assert compare(a, b).text() == ""
    change(b / path)
    found = compare(a, b)
    assert [(difference.path, difference.what) for difference in found.differ] == [(path, what)]
    assert found.text().startswith(f"! {path}: {what}")
    assert compare(a, b, ignore=[path]).equal


def test_times_do_not_count(sides: tuple[Path, Path]) -> None:
    os.utime(sides[0] / "dir/file", (1, 1))
    assert compare(*sides).equal


def test_names_of_one_side_are_listed(sides: tuple[Path, Path]) -> None:
    a, b = sides
    (a / "new").mkdir()
    (b / "dir/file").unlink()
    found = compare(a, b)
    assert (found.only_a, found.only_b, found.differ) == (("dir/file", "new"), (), ())
    assert found.text(1) == "- dir/file\n… and 1 more"
    assert compare(b, a).text() == "+ dir/file\n+ new"


def test_rules_and_stacks(sides: tuple[Path, Path], tmp_path: Path) -> None:
    a, b = sides
    extra = tmp_path / "extra/var/db/pkg/c/p-1"
    extra.mkdir(parents=True)
    (extra / "COUNTER").write_text("1")
    (extra / "BUILD_TIME").write_text("1")
    (b / "var/db/pkg/c/p-1").mkdir(parents=True)
    (b / "var/db/pkg/c/p-1/BUILD_TIME").write_text("22")
    assert compare([a, tmp_path / "extra"], b, rules=PORTAGE_RULES).equal
    found = compare([a, tmp_path / "extra"], b)
    assert found.only_a == ("var/db/pkg/c/p-1/COUNTER",)
    assert str(found.differ[0]) == "var/db/pkg/c/p-1/BUILD_TIME: content: size 1 | size 2"
    assert str(Difference("p", "mode", "0644", "0600")) == "p: mode: 0644 | 0600"


def test_capabilities_and_acls_are_told_as_people_write_them(sides: tuple[Path, Path]) -> None:
    a, b = sides
    file = a / "dir/file"
    os.setxattr(file, "security.capability", struct.pack("<5I", 2 << 24 | 1, 1 << 13, 0, 0, 0))
    acl = struct.pack("<I", 2) + b"".join(
        struct.pack("<HHI", tag, bits, id)
        for tag, bits, id in ((1, 6, 2**32 - 1), (2, 4, 1000), (4, 4, 2**32 - 1),
                              (16, 4, 2**32 - 1), (32, 0, 2**32 - 1))
    )  # fmt: skip
    os.setxattr(b / "dir", "system.posix_acl_default", acl)
    os.setxattr(b / "dir", "user.odd", b"\0\1")
    assert compare(a, b).text().splitlines() == [
        "! dir: xattr:  | system.posix_acl_default=user::rw-,user:1000:r--,group::r--,mask::r--,"
        "other::---",
        "! dir: xattr:  | user.odd=0001",
        "! dir/file: xattr: security.capability=cap_net_raw=ep | ",
    ]


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ((2 << 24 | 1, 1 << 13, 0, 0, 0), "cap_net_raw=ep"),
        ((3 << 24, 1 << 13 | 1, 1, 0, 0, 1000), "cap_chown=ip cap_net_raw=p [rootid=1000]"),
        ((2 << 24, 0, 0, 1 << 31, 1 << 8), "63=p cap_checkpoint_restore=i"),
        ((2 << 24, 0, 0, 0, 0), "="),
        ((9 << 24, 0), "0000000900000000"),
    ],
)
def test_capabilities_as_text(words: tuple[int, ...], text: str) -> None:
    assert xattr_text(b"security.capability", struct.pack(f"<{len(words)}I", *words)) == text


def test_a_damaged_acl_is_shown_as_it_is() -> None:
    assert xattr_text(b"system.posix_acl_access", b"\2\0\0\0\7") == "0200000007"


def test_any_name_stays_on_one_line(sides: tuple[Path, Path]) -> None:
    a, _ = sides
    Path(os.fsdecode(os.fsencode(a) + b"/new\nline\xff")).touch()
    assert compare(*sides).text() == "- new\\nline\\xff"
    assert compare(*sides).only_a == ("new\nline\udcff",)


def test_sparse_files_are_their_bytes(sides: tuple[Path, Path]) -> None:
    a, b = sides
    os.truncate(a / "dir/file", 1 << 20)
    (b / "dir/file").write_bytes(b"content" + b"\0" * ((1 << 20) - 7))
    assert (a / "dir/file").stat().st_blocks != (b / "dir/file").stat().st_blocks
    assert compare(a, b).equal


def test_layers_are_compared_with_what_they_hide(sides: tuple[Path, Path]) -> None:
    a, b = sides
    for root in sides:
        os.mknod(root / "gone", 0o020000, 0)
    os.chown(a / "gone", 1, 1)
    assert compare_layers(a, b).equal
    os.setxattr(a / "dir", "user.overlay.opaque", b"y")
    os.mknod(b / "also", 0o020000, 0)
    replace(b / "one", lambda path: os.mknod(path, 0o020000, 0))
    assert compare_layers(a, b).text().splitlines() == [
        "+ also",
        "! dir: xattr: user.overlay.opaque=y | ",
        "! one: type: -rw-r--r-- | whiteout",
        "! two: links: one | two",
    ]
    replace(b / "one", lambda path: path.hardlink_to(b / "two"))
    assert compare(a, b).equal


def test_the_root_itself_is_called_by_a_dot(sides: tuple[Path, Path]) -> None:
    a, b = sides
    b.chmod(0o700)
    assert compare(a, b).text() == f"! .: mode: {a.stat().st_mode & 0o7777:04o} | 0700"
    assert compare([], b).text().startswith("+ .\n+ dir\n")
