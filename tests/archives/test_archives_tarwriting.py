"""What is written is what was given, read by our own reader and by GNU tar."""

from __future__ import annotations

import io
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloche.archives.tarformat import Member, TarReader
from cloche.archives.tarwriting import TarWriter

PART = st.binary(min_size=1, max_size=120).filter(
    lambda part: not {0, ord("/")} & set(part) and part not in (b".", b"..")
)
NAME = st.lists(PART, min_size=1, max_size=4).map(b"/".join)
ID = st.integers(0, 2**32 - 2)
XATTRS = st.dictionaries(
    st.sampled_from([b"user.a", b"user.b", b"security.capability"]),
    st.binary(min_size=1, max_size=40),
)
FILE = st.builds(
    lambda name, mode, uid, gid, when, content, xattrs: (
        Member(
            name, "file", mode, uid, gid, when * 10**9, len(content),
            extents=((0, len(content)),) if content else (), xattrs=tuple(sorted(xattrs.items())),
        ),
        content,
    ),
    NAME, st.integers(0, 0o7777), ID, ID, st.integers(0, 2**33 - 1), st.binary(max_size=1500),
    XATTRS,
)  # fmt: skip
OTHER = st.builds(
    lambda name, type, uid, target: (
        Member(name, type, 0o755, uid, 0, 0, target=target if type in ("symlink", "link") else b""),
        b"",
    ),
    NAME,
    st.sampled_from(["directory", "symlink", "link", "fifo"]),
    ID,
    NAME,
)


def written(members: list[tuple[Member, bytes]]) -> bytes:
    out = io.BytesIO()
    writer = TarWriter(out)
    for member, content in members:
        writer.add(member, io.BytesIO(content).read)
    writer.end()
    return out.getvalue()


@given(st.lists(FILE | OTHER, max_size=4))
def test_the_reader_gives_what_the_writer_was_given(members: list[tuple[Member, bytes]]) -> None:
    data = written(members)
    assert len(data) % 10240 == 0
    reader = TarReader(io.BytesIO(data), Path("a.tar"), 1 << 20)
    found = []
    for member in reader:
        content = b""
        while piece := reader.read(1 << 20):
            content += piece
        name = member.name.rstrip(b"/") if member.type == "directory" else member.name
        found.append((replace(member, name=name), content))
    assert found == members


def test_gnu_tar_reads_it(tmp_path: Path) -> None:
    deep = b"/".join([b"d" * 90] * 3)
    members = [
        (Member(b"a", "file", 0o4755, 250, 2**31, 10**18, 3), b"abc"),
        (Member(deep, "link", 0o644, 0, 0, 0, target=b"a"), b""),
        (Member(b"\xff", "symlink", 0o777, 0, 0, 0, target=b"b" * 200), b""),
    ]
    (tmp_path / "a.tar").write_bytes(written(members))
    words = ("tar", "-tv", "--numeric-owner", "--utc", "-f", tmp_path / "a.tar")
    lines = subprocess.run(words, check=True, capture_output=True, text=True).stdout.splitlines()
    assert lines[0].split() == ["-rwsr-xr-x", "250/2147483648", "3", "2001-09-09", "01:46", "a"]
    assert lines[1].endswith(f"{deep.decode()} link to a")
    assert lines[2].endswith(f"\\377 -> {'b' * 200}")


def test_a_file_that_became_shorter_is_an_error() -> None:
    with pytest.raises(OSError, match="the file is 2 bytes too short"):
        written([(Member(b"a", "file", 0o644, 0, 0, 0, 5), b"abc")])
