"""Reading outputs: tarballs in any compression, directories, layers, and bad tarballs."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from outputs_made import (
    Name,
    Names,
    directory,
    file,
    hard_link,
    link,
    package,
    refusal,
    tarball,
)
from tests.archives.tars import END, member, pax
from tests.support import cannot

from cloche.archives import Limits
from cloche.comparison.comparison import compare
from cloche.comparison.inventory import Inventory
from cloche.comparison.outputs import read_layers, read_output
from cloche.errors import ClocheError

SOME = {
    "": directory(),
    "etc": directory(),
    "etc/a": file("a\n", 0o640, uid=5, gid=6),
    "usr": directory(0o700),
    "usr/b": hard_link("./etc/a"),
    "usr/c": link("../etc/a"),
    "var/db/pkg/x": directory(),
    **package("x/y-1.2-r3", "usr/b", "usr/c", SLOT="2/3", USE="u", IUSE="u"),
}


def inventory(path: Path) -> Inventory:
    (tree,) = read_output(path)
    return tree.inventory


def written(root: Path, names: Names) -> Path:
    """The same names as a directory, owned by the user who runs the test."""
    for name, each in names.items():
        place = root / name
        place.parent.mkdir(parents=True, exist_ok=True)
        if each.type == b"5":
            place.mkdir(exist_ok=True)
        elif each.type == b"2":
            place.symlink_to(each.target)
        elif each.type == b"1":
            place.hardlink_to(root / each.target)
        else:
            place.write_bytes(each.content)
        if each.type in (b"0", b"5"):
            place.chmod(each.mode)
    return root


def test_a_tarball_holds_names_packages_and_owners(tmp_path: Path) -> None:
    found = inventory(tarball(tmp_path / "a.tar", SOME))
    assert {name for name in found.items if not name.startswith("var/")} == {
        "", "etc", "etc/a", "usr", "usr/b", "usr/c",
    }  # fmt: skip
    item = found.items["etc/a"]
    assert (item.mode, item.uid, item.gid, item.size, item.text) == (0o640, 5, 6, 2, b"a\n")
    assert item.twin == found.items["usr/b"].twin == "etc/a"
    assert found.items["usr/c"].target == "../etc/a"
    (held,) = found.packages.values()
    assert (held.key, held.cpv, held.version) == ("x/y:2", "x/y-1.2-r3", "1.2-r3")
    assert found.owners["usr/b"] == found.owners["usr/c"] == "x/y:2"
    assert found.owners["var/db/pkg/x/y-1.2-r3/USE"] == "x/y:2"
    assert "etc/a" not in found.owners


def zstd(data: bytes) -> bytes:
    if shutil.which("zstd") is None:
        cannot("zstd is not installed")
    return subprocess.run(["zstd", "-q"], input=data, capture_output=True, check=True).stdout


@pytest.mark.parametrize("packed", [gzip.compress, bz2.compress, lzma.compress, zstd])
def test_the_compression_does_not_matter(packed: Callable[[bytes], bytes], tmp_path: Path) -> None:
    plain = tarball(tmp_path / "plain", SOME)
    other = tmp_path / "packed"
    other.write_bytes(packed(plain.read_bytes()))
    assert not compare(read_output(plain), read_output(other)).judged
    other.write_bytes(packed(plain.read_bytes())[:-40])
    with pytest.raises(ClocheError, match="corrupt or truncated"):
        read_output(other)


def test_a_directory_equals_its_tarball(tmp_path: Path) -> None:
    mine = {name: Name(**{**_fields(each), "uid": os.getuid(), "gid": os.getgid()})
            for name, each in SOME.items()}  # fmt: skip
    root = written(tmp_path / "root", mine)
    for above in ("var", "var/db", "var/db/pkg", "var/db/pkg/x"):  # made without a mode
        mine[above] = directory((root / above).stat().st_mode & 0o7777, uid=os.getuid(),
                                gid=os.getgid())  # fmt: skip
    found = compare(read_output(root), read_output(tarball(tmp_path / "a.tar", mine)))
    assert [(each.rule.name, each.difference.subject) for each in found.judged] == []
    assert found.same == len(mine)


def _fields(each: Name) -> dict[str, object]:
    return {name: getattr(each, name) for name in each.__dataclass_fields__}


def test_layers_are_read_as_the_root_that_they_make(tmp_path: Path) -> None:
    below = written(tmp_path / "below", {"usr": directory(), "usr/a": file("1"), "b": file("2")})
    above = written(tmp_path / "above", {"usr": directory(), "usr/a": file("3")})
    whole = written(tmp_path / "whole", {"usr": directory(), "usr/a": file("3"), "b": file("2")})
    assert not compare(read_layers([below, above], "machine:m"), read_output(whole)).judged


def test_holes_of_sparse_files_are_read_as_zeros(tmp_path: Path) -> None:
    root = written(tmp_path / "root", {"a": file()})
    with (root / "a").open("r+b") as sparse:
        sparse.truncate(3 << 20)
        sparse.seek(1 << 20)
        sparse.write(b"x" * 5000)
    packed = tmp_path / "a.tar"
    subprocess.run(["tar", "-S", "-C", root, "-cf", packed, "."], check=True)
    assert packed.stat().st_size < 1 << 20
    assert not compare(read_output(root), read_output(packed)).judged


# Bad tarballs


@pytest.mark.parametrize(
    ("members", "why"),
    [
        ([member(b"../out", content=b"x")], "leads out of the tree"),
        ([member(b"a/../../out", content=b"x")], "leads out of the tree"),
        ([member(b"/etc/passwd", content=b"x")], "leads out of the tree"),
        ([member(b"a", b"1", target=b"/etc/passwd")], "leads out of the tree"),
        ([member(b"a", b"1", target=b"b")], "the target of the link, b, does not exist"),
        ([member(b"a" * 99 + b"/", content=b"x")], "corrupt or truncated"),
        ([pax({b"path": b"d/" * 2000}), member(b"a")], "over the limit `path`"),
    ],
)
def test_names_that_lead_out_are_refused(members: list[bytes], why: str, tmp_path: Path) -> None:
    bad = tmp_path / "bad.tar"
    bad.write_bytes(b"".join(members) + END)
    with pytest.raises(ClocheError, match=why) as caught:
        read_output(bad)
    assert caught.value.status == 2


def test_a_bomb_is_refused(tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.tar.xz"
    bomb.write_bytes(lzma.compress(member(b"a", content=bytes(20 << 20)) + END))
    assert bomb.stat().st_size < 10_000
    with pytest.raises(ClocheError, match="over the limit `bytes`"):
        read_output(bomb, Limits(bytes=10 << 20))
    hole = tmp_path / "hole.tar"
    records = {b"GNU.sparse.major": b"1", b"GNU.sparse.minor": b"0",
               b"GNU.sparse.realsize": b"%d" % (1 << 60)}  # fmt: skip
    hole.write_bytes(pax(records) + member(b"a", content=b"0\n".ljust(512, b"\0")) + END)
    with pytest.raises(ClocheError, match="over the limit `bytes`"):
        read_output(hole, Limits(bytes=10 << 20))
    with pytest.raises(ClocheError, match="over the limit `entries`"):
        read_output(tarball(tmp_path / "many.tar", SOME), Limits(entries=3))


def test_damaged_tarballs_raise_no_other_exception(tmp_path: Path) -> None:
    whole, chosen = tarball(tmp_path / "whole.tar", SOME).read_bytes(), random.Random(7)
    bad = tmp_path / "bad.tar"
    for _ in range(300):
        damaged = bytearray(
            whole[: chosen.randrange(len(whole))] if chosen.random() < 0.2 else whole
        )
        for _ in range(chosen.randrange(4)):
            at = chosen.randrange(max(1, len(damaged)))
            damaged[at : at + 1] = bytes([chosen.randrange(256)])
        bad.write_bytes(damaged)
        said = refusal(bad)
        assert "\n" not in said


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello\n" * 200)
    os.mkfifo(tmp_path / "fifo")
    for name in ("text", "fifo"):
        with pytest.raises(ClocheError) as caught:
            read_output(tmp_path / name)
        assert caught.value.status == 2


@pytest.mark.parametrize(
    ("at", "mark"),
    [(512, b"EFI PART"), (1080, b"\x53\xef"), (32769, b"CD001"), (65600, b"_BHRfS_M")],
)
def test_a_tarball_whose_content_looks_like_an_image_is_a_tarball(
    tmp_path: Path, at: int, mark: bytes
) -> None:
    path = tarball(tmp_path / "a.tar", {"a": file(bytes(at - 512) + mark)})
    assert path.read_bytes()[at : at + len(mark)] == mark
    assert list(inventory(path).items) == ["a"]


def test_a_compressed_tarball_is_not_taken_for_a_file_system(tmp_path: Path) -> None:
    """One of 65,536 has the two bytes of ext4 at 1080."""
    plain = tarball(tmp_path / "a.tar", {"a": file(bytes(1080 - 512 - 15) + b"\x53\xef")})
    path = tmp_path / "a.tar.gz"
    path.write_bytes(gzip.compress(plain.read_bytes(), 0))  # 15 bytes, and then the content
    assert path.read_bytes()[1080:1082] == b"\x53\xef"
    assert list(inventory(path).items) == ["a"]


# Any tree

PARTS = st.sampled_from(["a", "b", "etc", "ü", "a\nb", "\x1b[31m", "c d"])
PATHS = st.lists(PARTS, min_size=1, max_size=3).map("/".join)
FILES = st.builds(
    file,
    st.binary(max_size=20),
    st.sampled_from([0o644, 0o4755, 0o600]),
    uid=st.integers(0, 3),
    gid=st.integers(0, 3),
)
OTHERS = st.sampled_from([directory(), directory(0o700), link("a"), link("../../..")])
TREES = st.dictionaries(PATHS, st.one_of(FILES, OTHERS), max_size=12)


@given(TREES, st.randoms())
def test_a_tree_does_not_differ_from_itself(
    tmp_path_factory: pytest.TempPathFactory, names: Names, chosen: random.Random
) -> None:
    """The order of its members does not matter."""
    place = tmp_path_factory.mktemp("same")
    other = list(names.items())
    chosen.shuffle(other)
    old, new = tarball(place / "old.tar", names), tarball(place / "new.tar", dict(other))
    found = compare(read_output(old), read_output(new))
    assert found.judged == ()
    assert found.passed
    assert found.same == len(names)


@given(TREES, st.randoms())
def test_a_missing_name_is_found(
    tmp_path_factory: pytest.TempPathFactory, names: Names, chosen: random.Random
) -> None:
    if not names:
        return
    place, gone = tmp_path_factory.mktemp("gone"), chosen.choice(sorted(names))
    old = tarball(place / "old.tar", names)
    new = tarball(place / "new.tar", {name: each for name, each in names.items() if name != gone})
    there, back = (compare(*map(read_output, pair)) for pair in ((old, new), (new, old)))
    assert [(e.difference.aspect, e.difference.subject) for e in there.judged] == [("lost", gone)]
    assert [(e.difference.aspect, e.difference.subject) for e in back.judged] == [("gained", gone)]


def test_a_program_of_this_host_is_compared_by_what_it_needs(tmp_path: Path) -> None:
    program = Path(sys.executable).resolve().read_bytes()
    found = inventory(tarball(tmp_path / "a.tar", {"a": file(program)})).items["a"]
    assert found.elf is not None
    assert found.elf.interpreter
    assert found.size == len(program)
