"""Importing: whatever the tarball, nothing outside changes; and what tar packed comes out again."""

# ruff: noqa: E501 - a table

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import re
import struct
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.archives.tars import END, archive, member, pax, record
from tests.layers.made import CHANGES, LAYER, change, make_layer
from tests.support import make_device

from cloche.archives import (
    ImportOptions,
    ImportRefusedError,
    Limits,
    import_directory,
    import_tarball,
)
from cloche.errors import Exit
from cloche.layers import (
    compare,
    merged,
)
from cloche.store.tree import exact_digest, walk

ACL = struct.pack("<I", 2) + b"".join(
    struct.pack("<HHI", tag, bits, id)
    for tag, bits, id in ((1, 6, 2**32 - 1), (2, 4, 12345), (4, 4, 2**32 - 1), (8, 5, 54321),
                          (16, 4, 2**32 - 1), (32, 0, 2**32 - 1))
)  # fmt: skip
SETUP = ImportOptions(Limits(bytes=1 << 20, entries=20, path=300, depth=10, metadata=1 << 14))


class Ground:
    """A destination, and beside it what must stay as it is."""

    def __init__(self, room: Path) -> None:
        self.room = room
        self.outside = room / "outside"
        self.outside.mkdir()
        (self.outside / "secret").write_text("secret")
        self.layer = room / "layer"
        self.before = self.state()

    def state(self) -> tuple[str, int]:
        digest = exact_digest(walk(self.outside))
        return digest, (self.outside / "secret").stat().st_nlink

    def take(self, *members: bytes, options: ImportOptions = SETUP) -> None:
        try:
            import_tarball(archive(self.room / "x.tar", *members), self.layer, options)
        finally:
            assert self.state() == self.before
            assert sorted(path.name for path in self.room.iterdir()) == [
                "layer",
                "outside",
                "x.tar",
            ]


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    return Ground(tmp_path)


OUT = member(b"a", b"2", target=b"../outside")
HERE = member(b"a", b"2", target=b".")
DIR = member(b"d/", b"5")
FILE = member(b"f", content=b"x")
UNSAFE = "the name (is|has) "
THROUGH = "the name leads through "
CLASH = "the name comes twice"
TARGET = "a hard link to "
DEVICE = "a device node"
LIMIT = "over the limit"
MALFORMED = "corrupt or truncated tarball"
TYPE = "a member has the unsupported type"
ATTRIBUTE = "the extended attribute"
HOSTILE: list[tuple[str, str, list[bytes]]] = [
    ("a name that climbs", UNSAFE, [member(b"../outside/secret", content=b"x")]),
    ("one that climbs later", UNSAFE, [DIR, member(b"d/../../outside/new")]),
    ("one that only goes round", UNSAFE, [DIR, member(b"d/../e")]),
    ("an absolute name", UNSAFE, [member(b"/tmp/cloche-absolute")]),
    ("an absolute one of pax", UNSAFE, [pax({b"path": b"/x"}), member(b"x")]),
    ("no name", UNSAFE, [member(b"")]),
    ("a null byte", UNSAFE, [pax({b"path": b"a\0b"}), member(b"x")]),
    ("a file as the root", UNSAFE, [member(b"./")[:156] + member(b"./")[156:],
                                                    member(b".", content=b"x")]),
    ("a component too long", UNSAFE, [pax({b"path": b"x" * 199}),
                                                      pax({b"path": b"x" * 256}), member(b"x")]),
    ("through a link outside", THROUGH, [OUT, member(b"a/secret", content=b"x")]),
    ("through a link inside", THROUGH, [HERE, member(b"a/a/x")]),
    ("through a link, a directory", THROUGH, [OUT, member(b"a/new/", b"5")]),
    ("through a link, a link", THROUGH, [OUT, member(b"a/l", b"2", target=b"x")]),
    ("through a file", THROUGH, [FILE, member(b"f/x")]),
    ("a directory over a link", CLASH, [OUT, member(b"a/", b"5"), member(b"a/new")]),
    ("a file over a directory", CLASH, [DIR, member(b"d")]),
    ("a hard link outside", UNSAFE, [member(b"l", b"1", target=b"../outside/x")]),
    ("an absolute hard link", UNSAFE, [member(b"l", b"1", target=b"/etc/passwd")]),
    ("through a link, a hard link", TARGET,
     [OUT, member(b"l", b"1", target=b"a/secret")]),
    ("a hard link to a link's place", THROUGH,
     [OUT, FILE, member(b"a/secret", b"1", target=b"f")]),
    ("a hard link to nothing", TARGET, [member(b"l", b"1", target=b"none")]),
    ("a hard link to itself", TARGET, [FILE, member(b"f", b"1", target=b"f")]),
    ("a hard link to a directory", TARGET, [DIR, member(b"l", b"1", target=b"d")]),
    ("a link to nothing", UNSAFE, [member(b"l", b"2")]),
    ("a device", DEVICE, [member(b"n", b"3", device=(1, 3))]),
    ("a disk", DEVICE, [member(b"n", b"4", device=(8, 0))]),
    ("an owner nobody has", LIMIT, [member(b"f", uid=70_000)]),
    ("too many names", LIMIT, [member(b"f%d" % n) for n in range(21)]),
    ("the same name too often", LIMIT, [member(b"f") for n in range(21)]),
    ("directories implied", LIMIT, [member(b"%d/1/2/3/4/5/6" % n) for n in range(4)]),
    ("too deep", LIMIT, [member(b"d/" * 11, b"5")]),
    ("too long a path", LIMIT, [pax({b"path": b"/".join([b"y" * 50] * 6)}), member(b"f")]),
    ("too much content", LIMIT, [member(b"f", content=bytes(600_000)), member(b"g"),
                                      member(b"g", content=bytes(600_000))]),
    ("a size nobody can have", LIMIT, [member(b"f", size=0o77777777777)]),
    ("much about little", LIMIT, [pax({b"comment": b"x" * (1 << 14)}), FILE]),
    ("a header that never ends", LIMIT, [member(b"x", b"x", size=0o77777777777)]),
    ("a long name that never ends", LIMIT, [member(b"x", b"L", size=0o77777777777)]),
    ("headers without end", LIMIT, [member(b"x", b"x")] * 40),
    ("a record without a length", MALFORMED,
     [member(b"x", b"x", record(b"comment", b"x") + b"y" * 30), FILE]),
    ("a record of no length", MALFORMED,
     [member(b"x", b"x", record(b"comment", b"x") + b"0 y=z\n"), FILE]),
    ("global records for each member to go through", MALFORMED,
     [pax({b"k%d" % n: b"" for n in range(at, at + 150)}, b"g") for at in range(0, 1050, 150)]),
    ("global headers without end", LIMIT,
     [piece for n in range(40) for piece in (pax({b"k%d" % n: b"v" * 450}, b"g"), FILE)]),
    ("a sparse bomb of GNU", LIMIT,
     [member(b"s", b"S", magic=b"ustar  \0", tail=bytes(41 + 97) + b"%011o\0" % (1 << 32))]),
    ("a sparse bomb of pax", LIMIT,
     [pax({b"GNU.sparse.size": b"1" + b"0" * 18, b"GNU.sparse.map": b""}), member(b"s")]),
    ("a map that overlaps", MALFORMED,
     [pax({b"GNU.sparse.size": b"9", b"GNU.sparse.map": b"3,2,0,2"}), member(b"s", content=b"abcd")]),
    ("a map beyond the end", MALFORMED,
     [pax({b"GNU.sparse.size": b"3", b"GNU.sparse.map": b"2,2"}), member(b"s", content=b"ab")]),
    ("a map of less than there is", MALFORMED,
     [pax({b"GNU.sparse.size": b"9", b"GNU.sparse.map": b"2,1"}), member(b"s", content=b"ab")]),
    ("half a map", MALFORMED,
     [pax({b"GNU.sparse.size": b"9", b"GNU.sparse.map": b"2"}), member(b"s", content=b"ab")]),
    ("a map that is cut off", MALFORMED,
     [pax({b"GNU.sparse.major": b"1", b"GNU.sparse.minor": b"0", b"GNU.sparse.realsize": b"9"}),
      member(b"s", content=b"9\n0\n1\n")]),
    ("a new sparse format", MALFORMED,
     [pax({b"GNU.sparse.major": b"2", b"GNU.sparse.minor": b"0"}), member(b"s")]),
    ("a wrong checksum", MALFORMED, [b"x" + FILE[1:]]),
    ("a number that is none", MALFORMED, [member(b"f", mode=b"0000999")]),
    ("a negative number", MALFORMED, [member(b"f", mode=b"\xff" * 7)]),
    ("a device number too big", MALFORMED, [member(b"n", b"3", device=(9999, 1))]),
    ("a pax record too long", MALFORMED, [member(b"p", b"x", b"99 a=b\n"), FILE]),
    ("a pax record of nothing", MALFORMED, [member(b"p", b"x", b"0 a=b\n"), FILE]),
    ("a pax number", MALFORMED, [pax({b"size": b"-1"}), FILE]),
    ("an ACL of names", MALFORMED,
     [pax({b"SCHILY.acl.access": b"user:lisa:rw-"}), FILE]),
    ("a header about nothing", MALFORMED, [pax({b"path": b"x"})]),
    ("a capability that is none", ATTRIBUTE,
     [pax({b"SCHILY.xattr.security.capability": b"x"}), FILE]),
    ("a directory with content", MALFORMED, [member(b"d/", content=b"x")]),
    ("a volume that goes on", TYPE, [member(b"f", b"M")]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "members"), [case[1:] for case in HOSTILE], ids=[case[0] for case in HOSTILE]
)
def test_it_is_refused(ground: Ground, words: str, members: list[bytes]) -> None:
    with pytest.raises(ImportRefusedError) as caught:
        ground.take(*members)
    assert re.match(words, caught.value.what)
    assert caught.value.status is (Exit.HOST if words == ATTRIBUTE else Exit.BAD_INPUT)
    assert str(ground.room / "x.tar") in str(caught.value)
    assert list(ground.layer.iterdir()) == []


def test_a_file_in_the_place_of_a_link_is_not_written_through_it(ground: Ground) -> None:
    link = member(b"a", b"2", target=b"../outside/secret")
    ground.take(link, member(b"hard", b"1", target=b"a"), member(b"a", content=b"new"))
    assert (ground.layer / "a").read_text() == "new"
    assert (ground.layer / "hard").readlink() == Path("../outside/secret")


def test_a_file_in_the_place_of_a_hard_link_leaves_the_other_name(ground: Ground) -> None:
    hard = member(b"g", b"1", target=b"f")
    ground.take(FILE, hard, member(b"g", content=b"new"), member(b"f/../f"[:1], content=b"y"))
    assert ((ground.layer / "g").read_text(), (ground.layer / "f").read_text()) == ("new", "y")


def test_devices_are_left_out_where_that_is_asked_for(tmp_path: Path) -> None:
    path = archive(tmp_path / "x.tar", member(b"dev/null", b"3", device=(1, 3)), FILE)
    report = import_tarball(path, tmp_path / "without", ImportOptions(devices="skip"))
    assert report.skipped == ("dev/null",)
    assert list((tmp_path / "without").iterdir()) == [tmp_path / "without/f"]
    path = archive(tmp_path / "x.tar", member(b"gone", b"3"))
    for devices in ("skip", "make"):
        with pytest.raises(ImportRefusedError, match=DEVICE):
            import_tarball(path, tmp_path / "no", ImportOptions(devices=devices))  # type: ignore[arg-type]


def test_devices_are_made_where_that_is_asked_for(tmp_path: Path) -> None:
    make_device(tmp_path / "may-i", 3)
    path = archive(tmp_path / "x.tar", member(b"dev/null", b"3", device=(1, 3)))
    import_tarball(path, tmp_path / "with", ImportOptions(devices="make"))
    assert (tmp_path / "with/dev/null").stat().st_rdev == os.makedev(1, 3)


def test_whiteouts_of_oci_become_overlayfs_ones(tmp_path: Path) -> None:
    names = [b".wh.gone", b"old/.wh..wh..opq", b"old/new", b".wh.again", b"again/x", b"also/y",
             b".wh.also", b".wh.file", b"file"]  # fmt: skip
    path = archive(tmp_path / "x.tar", *map(member, names))
    import_tarball(path, tmp_path / "plain")
    assert (tmp_path / "plain/.wh.gone").is_file()
    import_tarball(path, tmp_path / "layer", ImportOptions(whiteouts="oci"))
    low = tmp_path / "low"
    for name in ("gone", "stays", "old/1", "again/1", "also/1", "file/1"):
        (low / name).parent.mkdir(parents=True, exist_ok=True)
        (low / name).touch()
    found = [os.fsdecode(node.path) for node in merged([low, tmp_path / "layer"]).walk()]
    assert found[1:] == ["again", "again/x", "also", "also/y", "file", "old", "old/new", "stays"]
    for bad in (b".wh.", b".wh...", b".wh..wh.plnk"):
        with pytest.raises(ImportRefusedError, match=UNSAFE):
            import_tarball(archive(tmp_path / "x.tar", member(bad)), tmp_path / "no",
                           ImportOptions(whiteouts="oci"))  # fmt: skip
    linked = archive(tmp_path / "x.tar", member(b".wh.a"), member(b"b", b"1", target=b"a"))
    with pytest.raises(ImportRefusedError, match=TARGET):
        import_tarball(linked, tmp_path / "no", ImportOptions(whiteouts="oci"))


def test_of_extended_attributes_only_those_of_a_tree_are_kept(ground: Ground) -> None:
    names = {b"user.a": b"\xff\n=", b"user.overlay.opaque": b"y", b"trusted.overlay.opaque": b"y",
             b"security.selinux": b"x", b"user.overlay.redirect": b"/"}  # fmt: skip
    about = pax({b"SCHILY.xattr." + name: value for name, value in names.items()})
    ground.take(about, FILE, about, DIR)
    for path in (ground.layer / "f", ground.layer / "d"):
        mine = [name for name in os.listxattr(path) if name != "security.selinux"]
        assert (mine, os.getxattr(path, "user.a")) == (["user.a"], b"\xff\n=")


def test_a_destination_in_use_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").touch()
    with pytest.raises(OSError, match="not empty"):
        import_tarball(archive(tmp_path.parent / f"{tmp_path.name}.tar", FILE), tmp_path)
    assert (tmp_path / "mine").exists()


NAMES = st.sampled_from(
    [b"a", b"b", b"a/b", b"a/b/c", b"b/a", b"..", b"../x", b"a/../../x", b"/x", b".", b"./a", b"a//b",
     b"../outside/secret", b"a/secret", b"b/secret", b"a/new"]
)  # fmt: skip
MEMBERS = st.lists(
    st.tuples(
        NAMES,
        st.sampled_from([b"0", b"1", b"2", b"2", b"5", b"6", b"L", b"x"]),
        st.one_of(NAMES, st.sampled_from([b"../outside", b"../outside/secret", b"../../outside"])),
    ),
    max_size=8,
)


@settings(max_examples=150, deadline=None)
@given(members=MEMBERS, noise=st.one_of(st.none(), st.tuples(st.integers(0, 4000), st.binary())))
def test_nothing_outside_changes_whatever_is_in_it(tmp_path_factory, members, noise) -> None:  # type: ignore[no-untyped-def]
    ground = Ground(tmp_path_factory.mktemp("hostile"))
    data = b""
    for name, flag, target in members:
        if flag == b"L":
            data += member(b"x", b"L", target + b"\0")
        elif flag == b"x":
            data += pax({b"path": name, b"linkpath": target})
        else:
            data += member(name, flag, b"x" if flag == b"0" else b"", target=target)
    if noise is not None:
        data = data[: noise[0]] + noise[1] + data[noise[0] + len(noise[1]) :]
    try:
        ground.take(data)
    except ImportRefusedError:
        assert list(ground.layer.iterdir()) == []


def rich(root: Path, layer: list[tuple[str, str]], changes: list[tuple[str, str, str]]) -> Path:
    """A tree with everything that a tarball can hold."""
    make_layer(root, layer, bottom=True)
    change(root, changes)
    odd = root / os.fsdecode(b"odd\n\xff" + b"n" * 200)
    odd.mkdir()
    (odd / ("deep/" * 30)).mkdir(parents=True)
    (odd / "setuid").write_text("x")
    (odd / "setuid").chmod(0o6755)
    capability = struct.pack("<5I", 2 << 24 | 1, 1 << 13, 0, 0, 0)
    os.setxattr(odd / "setuid", "security.capability", capability)
    os.setxattr(odd / "setuid", "user.binary", b"\0\xff=\n")
    os.setxattr(odd, "system.posix_acl_default", ACL)
    os.mkfifo(odd / "fifo")
    (odd / "link").symlink_to("/" + "t" * 150)
    with (root / "sparse").open("wb") as file:
        for place in range(40):
            file.seek(place << 17)
            file.write(b"data")
        file.truncate(8 << 20)
    (root / "hard").hardlink_to(odd / "setuid")
    os.utime(odd / "setuid", ns=(-5, -1_500_000_000))
    os.chown(odd / "fifo", 60_000, 60_001)
    return root


def times(root: Path, *, whole: bool) -> list[int]:
    found = [path.lstat().st_mtime_ns for path in (root, *sorted(root.rglob("*")))]
    return [time // 10**9 for time in found] if whole else found


@settings(max_examples=8, deadline=None)
@example(layer=[], changes=[("fifo", "b", ""), ("link", "b", "a")], way="--format=posix")
@given(
    layer=LAYER,
    changes=CHANGES,
    way=st.sampled_from(
        ["--format=posix --sparse-version=0.0", "--format=posix --sparse-version=0.1",
         "--format=posix --sparse-version=1.0", "--format=posix", "--format=gnu"]
    ),
)  # fmt: skip
def test_what_tar_packed_comes_out_again(tmp_path_factory, layer, changes, way) -> None:  # type: ignore[no-untyped-def]
    room = tmp_path_factory.mktemp("tar")
    root = rich(room / "tree", layer, changes)
    for path in sorted(root.rglob("*")):
        if path.is_fifo() and path.lstat().st_nlink > 1:  # of these, tar(1) keeps no hard links
            path.unlink()
            os.mkfifo(path)
    if way == "--format=gnu":  # which has no extended attributes
        for path in [root, *root.rglob("*")]:
            for name in os.listxattr(path, follow_symlinks=False):
                os.removexattr(path, name, follow_symlinks=False)
    words = ["tar", "--create", f"--file={room}/x.tar", f"--directory={root}", *way.split()]
    if way != "--format=posix":
        words.append("--sparse")
    if way != "--format=gnu":
        words += ["--xattrs", "--xattrs-include=*", "--acls"]
    subprocess.run([*words, "--numeric-owner", "."], check=True)
    for made, make, source in (
        (room / "layer", import_tarball, room / "x.tar"),
        (room / "copy", import_directory, root),
    ):
        report = make(source, made)
        found = compare(root, made)
        assert found.equal, f"{way}\n{found.text()}"
        assert report.bytes >= 8 << 20
        whole = way == "--format=gnu" and made.name == "layer"  # that has seconds alone
        assert times(made, whole=whole) == times(root, whole=whole)
    assert (room / "copy/sparse").stat().st_blocks * 512 < 1 << 20
    if way != "--format=posix":
        assert (room / "layer/sparse").stat().st_blocks * 512 < 1 << 20


def packed_by(*argv: str) -> Callable[[bytes], bytes]:
    """What a program makes of its standard input."""
    return lambda data: subprocess.run(argv, input=data, capture_output=True, check=True).stdout


PACK: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "lzma": partial(lzma.compress, format=lzma.FORMAT_ALONE),
    "zst": packed_by("zstd", "-q", "-c", "--check"),
    "lzip": packed_by("lzip", "-c"),
    "lzop": packed_by("lzop", "-c"),
}


@pytest.mark.parametrize("kind", PACK)
def test_every_compression_is_read_and_its_damage_seen(tmp_path: Path, kind: str) -> None:
    plain = b"".join(member(b"f%d" % n, content=os.urandom(3000)) for n in range(50)) + END
    packed = PACK[kind](plain)
    path = tmp_path / "archive"
    path.write_bytes(packed)
    report = import_tarball(path, tmp_path / "layer")
    assert (report.entries, report.bytes) == (50, 150_000)
    for place in (len(packed) // 2, len(packed) - 40):
        path.write_bytes(packed[:place])
        with pytest.raises(ImportRefusedError, match=MALFORMED):
            import_tarball(path, tmp_path / "cut")
        if kind == "lzma":  # it has no checksum
            continue
        path.write_bytes(packed[:place] + bytes([packed[place] ^ 255]) + packed[place + 1 :])
        with pytest.raises(ImportRefusedError, match=MALFORMED):
            import_tarball(path, tmp_path / "damaged")
    assert kind == "lzma" or list((tmp_path / "damaged").iterdir()) == []


def test_what_is_no_tarball_at_all_is_told(tmp_path: Path) -> None:
    for magic in (b"PK\3\4", b"\x04\x22\x4d\x18", b"\x1f\x9d\x90"):  # zip, lz4, compress
        (tmp_path / "x").write_bytes(magic + bytes(range(256)) * 4)
        with pytest.raises(ImportRefusedError, match="not a tar archive"):
            import_tarball(tmp_path / "x", tmp_path / "out")


@pytest.mark.parametrize(
    ("magic", "program"),
    [(b"\x28\xb5\x2f\xfd", "zstd"), (b"LZIP\1\x0c", "lzip"), (b"\x89LZO\0\r\n", "lzop")],
)
def test_a_missing_program_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, magic: bytes, program: str
) -> None:
    (tmp_path / "x").write_bytes(magic)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ImportRefusedError) as caught:
        import_tarball(tmp_path / "x", tmp_path / "layer")
    assert caught.value.todo == f"install {program}"
