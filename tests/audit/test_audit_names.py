"""Roots of layers with a word in them: which files are found, and where in each."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support import cannot

from cloche.audit import names
from cloche.audit.names import Names, find_names
from cloche.errors import ClocheError
from cloche.layers import Layer, commit
from cloche.store import Store

Fill = Callable[[Path], object]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "store") as opened:
        yield opened


def layer(store: Store, label: str, fill: Fill, kind: str = "package") -> Layer:
    with store.workspace("test") as room:
        (room / "tree/usr/share/doc").mkdir(parents=True)
        fill(room / "tree")
        return commit(store, room / "tree", kind=kind, label=label)


def places(found: Names) -> dict[str, tuple[str, ...]]:
    return {each.path: each.places for each in found.found}


def test_a_text_is_found_by_its_lines_in_any_case(store: Store) -> None:
    def fill(tree: Path) -> None:
        (tree / "usr/a.pc").write_text("one\nfor Debian\nDEBIAN, debian\n\ndebian")
        (tree / "usr/b").write_text("nothing")
        (tree / "usr/many").write_text("debian\n" * 9)

    found = find_names([layer(store, "a/b-1", fill)], "Debian")
    assert places(found) == {
        "/usr/a.pc": ("line 2", "line 3", "line 5"),
        "/usr/many": ("line 1", "line 2", "line 3", "line 4", "line 5"),
    }
    assert [(each.package, each.more) for each in found.found] == [("a/b-1", 0), ("a/b-1", 4)]


def test_names_and_targets_of_links_count_whatever_they_are(store: Store) -> None:
    def fill(tree: Path) -> None:
        (tree / "usr/debian-empty").mkdir()
        (tree / "usr/link").symlink_to("/srv/Debian")
        os.mkfifo(tree / "usr/debian.fifo")
        (tree / "usr/x-Debian").write_text("debian")

    found = find_names([layer(store, "a/b-1", fill)], "debian")
    assert places(found) == {
        "/usr/debian-empty": ("path",),
        "/usr/debian.fifo": ("path",),
        "/usr/link": ("target",),
        "/usr/x-Debian": ("path", "line 1"),
    }


def test_an_elf_file_is_found_by_its_sections(store: Store, tmp_path: Path) -> None:
    source = tmp_path / "a.c"
    source.write_text('const char *who = "built by debian"; __asm__(".ident \\"Debian 1\\"");')
    objects = (("a.o", ["-c"]), ("a.so", ["-shared", "-nostdlib"]))
    for name, options in objects:
        command = ["gcc", "-fPIC", *options, "-o", str(tmp_path / name), str(source)]
        try:
            subprocess.run(command, check=True, capture_output=True)
        except (FileNotFoundError, subprocess.CalledProcessError) as error:
            cannot(f"{command}: {error}")

    def fill(tree: Path) -> None:
        for name, _ in objects:
            (tree / name).write_bytes((tmp_path / name).read_bytes())
        cut = (tmp_path / "a.so").read_bytes()
        at = cut.index(b"built by debian") + len("built by debian")
        (tree / "cut.so").write_bytes(cut[:at])

    found = places(find_names([layer(store, "a/b-1", fill)], "debian"))
    assert {"/a.o", "/a.so", "/cut.so"} == found.keys()
    for name in ("/a.o", "/a.so"):
        assert any(each.startswith(".rodata") for each in found[name])
        assert ".comment" in found[name]
    (offset,) = found["/cut.so"]
    assert offset.startswith("byte ")


def test_documentation_is_not_searched(store: Store) -> None:
    def fill(tree: Path) -> None:
        for name in ("doc", "man", "info", "locale", "doctor"):
            place = tree / "usr/share" / name / "debian"
            place.mkdir(parents=True)
            (place / "x").write_text("debian")

    found = find_names([layer(store, "a/b-1", fill)], "debian")
    assert places(found).keys() == {"/usr/share/doctor/debian", "/usr/share/doctor/debian/x"}


def test_only_what_the_root_shows_counts_with_the_layer_that_has_it(store: Store) -> None:
    def below(tree: Path) -> None:
        (tree / "gone").write_text("debian")
        (tree / "changed").write_text("debian")
        (tree / "var/db/pkg/a/b-1").mkdir(parents=True)
        (tree / "var/db/pkg/a/b-1/b-1.ebuild").write_text("\nmirror://debian/x")

    def above(tree: Path) -> None:
        os.mknod(tree / "gone", 0o20000)
        (tree / "changed").write_text("of nobody")

    found = find_names([layer(store, "a/b-1", below), layer(store, "m", above, "state")], "debian")
    assert places(found) == {"/var/db/pkg/a/b-1/b-1.ebuild": ("line 2",)}
    (each,) = found.found
    assert each.package == "a/b-1"


def test_a_file_of_many_names_is_read_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def fill(tree: Path) -> None:
        (tree / "one").write_text("debian")
        for number in range(5):
            (tree / f"name{number}").hardlink_to(tree / "one")

    made, opened = layer(store, "a/b-1", fill), []
    real = os.open
    monkeypatch.setattr(
        names.os, "open", lambda path, *rest, **more: opened.append(path) or real(path, *rest)
    )
    assert len(find_names([made], "debian").found) == 6
    assert len(opened) == 1


def test_a_hole_larger_than_any_disk_is_passed_over(store: Store) -> None:
    def fill(tree: Path) -> None:
        with (tree / "sparse").open("wb") as file:
            file.write(b"Debian\n" + bytes(5000))
            file.seek(1 << 40)
            file.write(b"debian")
            file.truncate(1 << 42)

    # Not committed: that would read all of it.
    with store.workspace("test") as room:
        fill(room)
        made = Layer("id", room, "package", "a/b-1", 0, 0)
        assert places(find_names([made], "debian")) == {
            "/sparse": ("byte 0", f"byte {1 << 40}"),
        }


def test_exceptions_allow_files_and_those_that_nothing_needs_are_named(store: Store) -> None:
    def fill(tree: Path) -> None:
        for name in ("usr/lib/a.py", "usr/lib/b.py", "usr/c"):
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            (tree / name).write_text("debian")

    made = [layer(store, "a/b-1", fill)]
    found = find_names(made, "debian", ["/usr/lib/*.py", "/usr/*/a.py", "/opt/*"])
    assert [each.path for each in found.found] == ["/usr/c"]
    assert [each.path for each in found.excepted] == ["/usr/lib/a.py", "/usr/lib/b.py"]
    assert found.unused == ("/opt/*",)


@pytest.mark.parametrize("word", ["", "ö", "a\nb", "\udcff"])
def test_a_word_that_no_file_can_be_searched_for_is_refused(store: Store, word: str) -> None:
    with pytest.raises(ClocheError, match="only ASCII can") as caught:
        find_names([], word)
    assert caught.value.status == 2


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.sampled_from([b"a", b"B", b"ab", b"\n", b"x", b"\0", b"aab"]), max_size=30),
    st.sampled_from(["ab", "aab", "a", "bb"]),
    st.integers(1, 7),
)
def test_pieces_of_any_size_find_the_same(
    tmp_path_factory: pytest.TempPathFactory, parts: list[bytes], word: str, chunk: int
) -> None:
    """Against Python's own search of the whole content, line by line or by offset."""
    content = b"".join(parts)
    tree = tmp_path_factory.mktemp("tree")
    (tree / "f").write_bytes(content)
    lowered, wanted = content.lower(), word.encode()
    if b"\0" in content:
        offsets, at = [], lowered.find(wanted)
        while at >= 0:
            offsets.append(f"byte {at}")
            at = lowered.find(wanted, at + len(wanted))
        expected = offsets
    else:
        lines = enumerate(lowered.split(b"\n"), 1)
        expected = [f"line {number}" for number, line in lines if wanted in line]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(names, "_CHUNK", chunk)
        found = find_names([Layer("id", tree, "package", "a/b-1", 0, 0)], word).found
    assert [place for each in found for place in each.places] == expected[:5]
    assert sum(each.more for each in found) == len(expected[5:])
