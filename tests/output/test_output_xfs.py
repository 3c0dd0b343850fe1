"""The prototype file of an XFS, and what xfs_db writes afterwards."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloche.archives.tarformat import Member
from cloche.output.xfs import commands, protofile

SECOND = 10**9


def member(name: str, kind: str = "file", mode: int = 0o644, target: str = "") -> Member:
    return Member(name.encode(), kind, mode, 1, 2, 7 * SECOND + 5, target=target.encode())


def lines(*members: Member) -> list[str]:
    return [line.decode() for line in protofile(members, b"/tree")]


def test_directories_end_where_the_next_name_is_not_in_them() -> None:
    assert lines(
        member("./", "directory", 0o755),
        member("./a/", "directory", 0o2775),
        member("./a/b/", "directory", 0o1777),
        member("./a/b/c", mode=0o4711),
        member("./d", "symlink", 0o777, target="a/b"),
        member("./e", "link", target="./a/b/c"),
    ) == [
        *("/", "0 0", "d--755 1 2"),
        *("a d-g775 1 2", "b d--777 1 2", "c -u-711 1 2 /tree/a/b/c", "$", "$"),
        *("d l--777 1 2 a/b", "e ---644 1 2 /tree/e", "$"),
    ]


def test_a_space_in_a_name_is_a_slash_and_its_content_has_no_space() -> None:
    (line,) = [each for each in lines(member("./a  b")) if each.startswith("a")]
    assert line == "a//b ---644 1 2 /tree/a\x01\x01b"


@pytest.mark.parametrize("name", ["./a\tb", "./a\nb", "./:a", "./$", "./a\x01"])
def test_a_name_that_would_be_read_otherwise_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="cannot be filled with"):
        lines(member(name))


def test_a_link_cannot_lead_to_a_name_with_a_space() -> None:
    with pytest.raises(ValueError, match="leads to “a b”"):
        lines(member("./x", "symlink", target="a b"))


def test_the_sticky_bit_and_times_are_written_afterwards() -> None:
    found = list(commands([member("./tmp/", "directory", 0o1777), member("./a"), member("./a b")]))
    time = b"write core.mtime.sec %d" % ((7 + (1 << 31)) * SECOND + 5)
    assert found == [b"path /tmp", b"write core.mode 041777", time, b"path /a", time]
    with pytest.raises(ValueError, match="sticky bit"):
        list(commands([member("./a b/", "directory", 0o1777)]))


@given(st.lists(st.lists(st.sampled_from(["a", "b", "c d"]), min_size=1, max_size=4), max_size=12))
def test_each_directory_that_is_opened_is_closed(paths: list[list[str]]) -> None:
    """A tree in the order of tar(1): a directory, then all that is in it."""
    directories = sorted({tuple(path[:count]) for path in paths for count in range(1, len(path))})
    names = sorted({*directories, *((*path, "file") for path in paths)})
    members = [
        member("./" + "/".join(name), "file" if name[-1] == "file" else "directory")
        for name in names
        if name[:-1] in {(), *directories}
    ]
    open_now: list[str] = []
    seen = []
    for line in lines(member("./", "directory"), *members)[3:-1]:
        if line == "$":
            open_now.pop()
            continue
        name, kind = re.split(r" (?=[-d][-u][-g])", line, maxsplit=1)
        seen.append("./" + "/".join((*open_now, name.replace("/", " "))))
        if kind.startswith("d"):
            open_now.append(name.replace("/", " "))
    assert open_now == []
    assert seen == [each.name.decode() for each in members]
