from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from cloche.layers import PORTAGE_RULES, Difference, compare


@pytest.fixture
def sides(tmp_path: Path) -> tuple[Path, Path]:
    for name in ("a", "b"):
        root = tmp_path / name
        (root / "dir").mkdir(parents=True)
        (root / "dir/file").write_text("content")
        (root / "link").symlink_to("dir")
        (root / "one").write_text("1")
        (root / "two").hardlink_to(root / "one")
        os.mknod(root / "null", 0o020666, os.makedev(1, 3))
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
        path, lambda p: os.mknod(p, 0o020666, os.makedev(1, 5)))),
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
    assert str(found.differ[0]) == "var/db/pkg/c/p-1/BUILD_TIME: content"
    assert str(Difference("p", "mode", "0644", "0600")) == "p: mode: 0644 | 0600"
