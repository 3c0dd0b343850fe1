"""The compile cache inside of a sandbox: which compilers, what is packed, what is unpacked."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from cloche.guest import ccache


def test_compilers_are_found_where_a_shell_would_find_them(tmp_path: Path) -> None:
    for directory, names in {
        "one": (
            "gcc",
            "x86_64-pc-linux-gnu-g++",
            "clang++-17",
            "cpp",
            "gcc-ar",
            "c99-gcc",
            "ccache",
        ),
        "two": ("gcc", "cc", "gcc-12", "x86_64-linux-gnu-gcc-nm-12", "c++filt"),
    }.items():
        (tmp_path / directory).mkdir()
        for name in names:
            (tmp_path / directory / name).touch(mode=0o755)
    (tmp_path / "one/clang").touch(mode=0o644)
    path = f"{tmp_path}/none:{tmp_path}/one:{tmp_path}/two"
    assert ccache.compilers_in(path) == {
        "gcc": f"{tmp_path}/one/gcc",
        "x86_64-pc-linux-gnu-g++": f"{tmp_path}/one/x86_64-pc-linux-gnu-g++",
        "clang++-17": f"{tmp_path}/one/clang++-17",
        "cc": f"{tmp_path}/two/cc",
        "gcc-12": f"{tmp_path}/two/gcc-12",
    }


def test_counters_are_read() -> None:
    text = "cache_miss\t3\npreprocessed_cache_hit\t4\nstats_updated_timestamp\tx\nother\n"
    assert ccache.counters(text) == {"cache_miss": 3, "preprocessed_cache_hit": 4}


def test_objects_come_back_and_nothing_else_does(tmp_path: Path) -> None:
    cache, back = tmp_path / "cache", tmp_path / "back"
    back.mkdir()
    for name in ("a/b/cdR", "a/stats", "tmp/half", "lock/x", "ccache.conf"):
        (cache / name).parent.mkdir(parents=True, exist_ok=True)
        (cache / name).write_text(name)
    (cache / "a/link").symlink_to("/etc/passwd")
    os.utime(cache / "a/b/cdR", (5, 5))
    ccache.pack(cache, tmp_path / "tar")
    ccache.unpack(tmp_path / "tar", back)
    files = {p.relative_to(back).as_posix(): p.read_text() for p in back.rglob("*") if p.is_file()}
    assert files == {"a/b/cdR": "a/b/cdR", "a/stats": "a/stats"}
    assert (back / "a/b/cdR").stat().st_mtime == 5
    assert (back / "a/b").stat().st_mode & 0o777 == 0o777
    assert (back / "a/b/cdR").stat().st_mode & 0o777 == 0o666


@pytest.mark.parametrize("name", ["/etc/passwd", "a/../../out", "../out", "a/b/../c", "tmp/x", ""])
def test_a_tarball_of_an_ebuild_writes_nowhere_else(tmp_path: Path, name: str) -> None:
    _hostile(tmp_path / "tar", tarfile.TarInfo(name))
    (tmp_path / "back").mkdir()
    ccache.unpack(tmp_path / "tar", tmp_path / "back")
    assert list((tmp_path / "back").rglob("*")) == []
    assert not (tmp_path / "out").exists()


def test_a_link_in_a_tarball_is_not_made(tmp_path: Path) -> None:
    links = []
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE):
        link = tarfile.TarInfo("a/b")
        link.type, link.linkname = kind, str(tmp_path)
        links.append(link)
    setuid = tarfile.TarInfo("a/c")
    setuid.mode = 0o4755
    _hostile(tmp_path / "tar", *links, tarfile.TarInfo("a/b/out"), setuid)
    (tmp_path / "back").mkdir()
    ccache.unpack(tmp_path / "tar", tmp_path / "back")
    assert (tmp_path / "back/a/b/out").is_file()
    assert not (tmp_path / "out").exists()
    assert (tmp_path / "back/a/c").stat().st_mode & 0o7777 == 0o666


def _hostile(tarball: Path, *members: tarfile.TarInfo) -> None:
    with tarfile.open(tarball, "w") as tar:
        for member in members:
            tar.addfile(member, io.BytesIO())
