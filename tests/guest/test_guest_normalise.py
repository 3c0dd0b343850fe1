"""Nothing of the moment of a build stays in an image, its build-info or the VDB."""

from __future__ import annotations

import bz2
import os
from pathlib import Path

from cloche.guest.normalise import clamp_times, normalise_build_info, still_environment
from cloche.guest.vdb import clamp_contents, sorted_contents

EPOCH = 1_700_000_000


def test_later_time_stamps_become_the_epoch_and_earlier_ones_stay(tmp_path: Path) -> None:
    old, new, link = tmp_path / "d" / "old", tmp_path / "d" / "new", tmp_path / "link"
    old.parent.mkdir()
    old.touch()
    new.touch()
    link.symlink_to("nowhere")
    os.utime(old, (1_000_000_000, 1_000_000_000))
    clamp_times(tmp_path, EPOCH)
    assert old.stat().st_mtime == 1_000_000_000
    assert {p.lstat().st_mtime_ns for p in (tmp_path, old.parent, new, link)} == {EPOCH * 10**9}


def test_parts_of_a_second_are_cut_off(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.touch()
    os.utime(file, ns=(1_000_000_000_500_000_000,) * 2)
    clamp_times(tmp_path, EPOCH)
    assert file.stat().st_mtime_ns == 1_000_000_000 * 10**9


def test_variables_of_the_moment_leave_a_saved_environment() -> None:
    saved = (
        b'declare -x CFLAGS="-O2"\n'
        b'declare DESCRIPTION="no attributes"\n'
        b'declare -- EPOCHREALTIME="1795210909.06"\n'
        b'declare -i SRANDOM="17"\n'
        b'declare -a ARRAY=([0]="a" [1]="b")\n'
        b"declare -- UNSET\n"
        b"src_compile () \n{ \n    RANDOM=1;\n    declare -r SECONDS=2\n}\n"
    )
    assert still_environment(saved) == (
        b'declare -x CFLAGS="-O2"\n'
        b'declare DESCRIPTION="no attributes"\n'
        b'declare -a ARRAY=([0]="a" [1]="b")\n'
        b"declare -- UNSET\n"
        b"src_compile () \n{ \n    RANDOM=1;\n    declare -r SECONDS=2\n}\n"
    )


def test_a_value_of_several_lines_leaves_whole_or_stays_whole() -> None:
    saved = (
        b'declare -x MAKEFLAGS="one\ntwo\nthree"\n'
        b'declare -x NOTE="first\ndeclare -- SECONDS=1\nlast"\n'
        b'declare -x END="1"\n'
    )
    kept = still_environment(saved)
    assert b"two" not in kept
    assert b'NOTE="first\ndeclare -- SECONDS=1\nlast"\n' in kept
    assert kept.endswith(b'declare -x END="1"\n')


def test_a_quoted_quote_does_not_end_a_value() -> None:
    saved = b'declare -- PPID="a \\" b"\ndeclare -- A="1"\n'
    assert still_environment(saved) == b'declare -- A="1"\n'


def test_build_info_is_the_same_at_any_time(tmp_path: Path) -> None:
    (tmp_path / "BUILD_TIME").write_text("1795210909\n")
    (tmp_path / "NEEDED").write_text("/usr/bin/b libc.so.6\n/usr/bin/a libc.so.6\n")
    (tmp_path / "environment.bz2").write_bytes(bz2.compress(b'declare -- SRANDOM="1"\n'))
    normalise_build_info(tmp_path, EPOCH)
    assert (tmp_path / "BUILD_TIME").read_text() == f"{EPOCH}\n"
    assert (tmp_path / "NEEDED").read_text().startswith("/usr/bin/a ")
    assert bz2.decompress((tmp_path / "environment.bz2").read_bytes()) == b""


def test_contents_are_listed_by_path_with_directories_before_what_is_in_them() -> None:
    lines = [
        "dir /usr\n",
        "obj /usr/z name 0123 1\n",
        "sym /usr/lib/l.so -> l.so.1 1\n",
        "dir /usr/lib-x\n",
        "dir /usr/lib\n",
    ]
    assert sorted_contents(lines) == [lines[0], lines[4], lines[2], lines[3], lines[1]]


def test_what_a_merge_made_anew_gets_the_epoch_in_contents_and_on_disk(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("x")
    lines = [
        "dir /d 9\n",
        f"sym /link -> x {EPOCH + 5}\n",
        "obj /old 0123 7\n",
        "obj /gone 4 9999999999",
    ]
    assert clamp_contents(lines, EPOCH, tmp_path) == [
        "dir /d 9\n",
        f"sym /link -> x {EPOCH}\n",
        "obj /old 0123 7\n",
        f"obj /gone 4 {EPOCH}\n",
    ]
    assert (tmp_path / "link").lstat().st_mtime == EPOCH
