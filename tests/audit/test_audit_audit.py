"""Roots of layers with real programs: what is met, what is not, what nobody owns."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support import cannot
from tests.values import stored

from cloche.audit.audit import Audit, audit, surveyed
from cloche.audit.needs import interpreters
from cloche.layers import Layer, commit
from cloche.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "store") as opened:
        yield opened


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library, a program that needs it, and one that finds it by its RUNPATH."""
    place = tmp_path_factory.mktemp("made")
    (place / "a.c").write_text("int a(void) { return 1; }")
    (place / "b.c").write_text("int a(void); int main(void) { return a(); }")
    for command in (
        "gcc -nostdlib -shared -fPIC -Wl,-soname,liba.so.1 -o liba.so.1 a.c",
        "gcc -nostdlib -e main -Wl,--dynamic-linker=/lib64/ld.so -o plain b.c liba.so.1",
        "gcc -nostdlib -e main -Wl,--dynamic-linker=/lib64/ld.so -o with b.c liba.so.1 "
        "-Wl,-rpath,$ORIGIN/../own -Wl,--enable-new-dtags",
        "gcc -nostdlib -shared -fPIC -o ld.so a.c",
    ):
        try:
            subprocess.run(command.split(), cwd=place, check=True, capture_output=True)
        except (FileNotFoundError, subprocess.CalledProcessError) as error:
            cannot(f"{command}: {error}")
    return place


def layer(
    store: Store, name: str, kind: str = "package", *, chost: str = "", **files: bytes | str
) -> Layer:
    """A layer with these files (``__`` is a slash), all executable; a str is a link's target."""
    with store.workspace("test") as room:
        tree = room / "tree"
        tree.mkdir()
        for spelled, content in files.items():
            path = tree / spelled.replace("__", "/").replace("DOT", ".").replace("DASH", "-")
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, str):
                path.symlink_to(content)
            else:
                path.write_bytes(content)
                path.chmod(0o755)
        if kind == "package":
            entry = tree / "var/db/pkg" / name
            entry.mkdir(parents=True)
            if chost:
                (entry / "CHOST").write_text(f"{chost}\n")
            listed = [f"obj /{path.relative_to(tree)} 0 0" for path in tree.rglob("*")
                      if path.is_file() and entry not in path.parents]  # fmt: skip
            (entry / "CONTENTS").write_bytes(
                os.fsencode("".join(f"{line}\n" for line in sorted(listed)))
            )
        return commit(store, tree, kind=kind, label=name)


def found(store: Store, *layers: Layer) -> Audit:
    return audit(surveyed(store, "place/machine", layers))


def test_a_library_is_found_where_the_loader_looks(store: Store, made: Path) -> None:
    base = layer(store, "s/libc-1", usr__lib64__ldDOTso=(made / "ld.so").read_bytes())
    links = layer(store, "s/base-1", lib64="usr/lib64")
    program = layer(store, "a/plain-1", usr__bin__plain=(made / "plain").read_bytes())
    library = (made / "liba.so.1").read_bytes()
    (need,) = found(store, links, base, program).unmet
    assert (need.package, need.path, need.text) == (
        "a/plain-1", "/usr/bin/plain", "library liba.so.1",
    )  # fmt: skip
    there = layer(store, "l/a-1", usr__lib64__libaDOTsoDOT1=library)
    assert found(store, links, base, there, program).passed
    elsewhere = layer(store, "l/a-1", opt__own__libaDOTsoDOT1=library)
    seen = found(store, links, base, elsewhere, program)
    assert seen.passed
    assert [note.aside for note in seen.notes] == ["/opt/own/liba.so.1"]
    conf = layer(store, "m", "state", etc__ldDOTsoDOTconf=b"/opt/own # ours\n")
    assert found(store, links, base, elsewhere, program, conf).notes == ()


def test_the_loaders_own_directories_are_those_it_has_built_in(store: Store, made: Path) -> None:
    """Debian's glibc does not look into /usr/lib64, Gentoo's not into /usr/lib."""
    loader = (made / "ld.so").read_bytes()
    program = layer(store, "a/plain-1", usr__bin__plain=(made / "plain").read_bytes())
    library = layer(store, "l/a-1", usr__lib64__libaDOTsoDOT1=(made / "liba.so.1").read_bytes())
    for built_in, notes in (
        (b"\0/lib/x86_64-linux-gnu/\0/lib/\0/usr/lib/\0", ["/usr/lib64/liba.so.1"]),
        (b"\0/lib64/\0/usr/lib64/\0", []),
    ):
        base = layer(store, "s/libc-1", lib64__ldDOTso=loader + built_in)
        seen = found(store, base, library, program)
        assert seen.passed
        assert [note.aside for note in seen.notes] == notes
        conf = layer(store, "m", "state", etc__ldDOTsoDOTconf=b"/usr/lib64\n")
        assert found(store, base, library, program, conf).notes == ()


def test_runpath_and_origin_are_followed(store: Store, made: Path) -> None:
    base = layer(store, "s/libc-1", lib64__ldDOTso=(made / "ld.so").read_bytes())
    program = layer(store, "a/with-1", usr__bin__with=(made / "with").read_bytes())
    library = layer(store, "l/a-1", usr__own__libaDOTsoDOT1=(made / "liba.so.1").read_bytes())
    assert found(store, base, library, program).unmet == ()
    lost = found(store, base, program)
    assert [need.text for need in lost.unmet] == ["library liba.so.1"]
    assert [note.name for note in lost.notes] == ["/usr/bin/../own"]


def test_a_library_of_another_kind_does_not_do(store: Store, made: Path) -> None:
    base = layer(store, "s/libc-1", lib64__ldDOTso=(made / "ld.so").read_bytes())
    program = layer(store, "a/plain-1", usr__bin__plain=(made / "plain").read_bytes())
    other = bytearray((made / "liba.so.1").read_bytes())
    other[18:20] = (183).to_bytes(2, "little")  # e_machine: aarch64
    foreign = layer(store, "l/a-1", usr__lib64__libaDOTsoDOT1=bytes(other))
    lacking, other_cpu = found(store, base, foreign, program).unmet
    assert lacking.text == "library liba.so.1"
    assert (other_cpu.path, other_cpu.text) == ("/usr/lib64/liba.so.1", "CPU aarch64")


def test_the_cpu_of_a_root_is_that_of_its_packages(store: Store, made: Path) -> None:
    """Even if most of its files are not for it: a build has used the wrong compiler."""
    library = (made / "liba.so.1").read_bytes()
    arm = bytearray(library)
    arm[18:20] = (183).to_bytes(2, "little")
    files = {
        "usr__bin__tool": library, "usr__lib__libbDOTsoDOT1": library,
        "usr__lib__libaDOTsoDOT1": bytes(arm), "usr__share__qemu__firmware": library,
        "usr__lib__go__testdata": library,
    }  # fmt: skip
    wrong = layer(store, "a/wrong-1", chost="aarch64-unknown-linux-gnu", **files)
    assert [(need.path, need.text) for need in found(store, wrong).unmet] == [
        ("/usr/bin/tool", "CPU x86_64"),
        ("/usr/lib/libb.so.1", "CPU x86_64"),
    ]
    unknown = layer(store, "a/wrong-1", chost="m68k-unknown-linux-gnu", **files)
    assert [need.path for need in found(store, unknown).unmet] == ["/usr/lib/liba.so.1"]


def test_what_a_layer_above_takes_away_is_not_there(store: Store, made: Path) -> None:
    base = layer(store, "s/libc-1", lib64__ldDOTso=(made / "ld.so").read_bytes())
    program = layer(store, "a/plain-1", usr__bin__plain=(made / "plain").read_bytes())
    library = layer(store, "l/a-1", usr__lib__libaDOTsoDOT1=(made / "liba.so.1").read_bytes())
    assert found(store, base, program, library).passed
    above = layer(store, "l/b-1", usr__lib="/nowhere")
    (need,) = found(store, base, program, library, above).unmet
    assert need.text == "library liba.so.1"


def test_musl_looks_in_its_path_file_and_is_the_c_library_itself(store: Store, made: Path) -> None:
    loader, spelled = (made / "ld.so").read_bytes(), (made / "plain").read_bytes()
    assert spelled.count(b"/lib64/ld.so\0") == 1
    text = spelled.replace(b"/lib64/ld.so\0", b"/ld-musl-x.s\0")
    base = layer(store, "s/musl-1", ldDASHmuslDASHxDOTs=loader)
    program = layer(store, "a/plain-1", bin__plain=text)
    library = layer(store, "l/a-1", opt__libaDOTsoDOT1=(made / "liba.so.1").read_bytes())
    assert found(store, base, program, library).notes[0].aside == "/opt/liba.so.1"
    conf = layer(store, "m", "config", etc__ldDASHmuslDASHxDOTpath=b"/lib:/opt\n")
    assert found(store, base, program, library, conf).notes == ()


def test_links_that_lead_nowhere_or_in_a_circle_end(store: Store, made: Path) -> None:
    program = layer(store, "a/plain-1", usr__bin__plain=(made / "plain").read_bytes())
    circle = layer(store, "c/c-1", lib64="lib64", usr__lib64="/../../usr/lib64/x", etc="/etc/etc")
    assert {need.name for need in found(store, program, circle).unmet} == {
        "/lib64/ld.so", "liba.so.1",
    }  # fmt: skip


def test_names_that_are_not_text_are_read_again_each_time(store: Store) -> None:
    odd = layer(store, "a/odd-1", **{"etc__\udcff": b"x"})
    assert found(store, odd).passed
    assert found(store, odd).files == 1


def test_interpreters_have_to_be_there(store: Store, made: Path) -> None:
    program = layer(store, "a/plain-1", usr__bin__plain=(made / "plain").read_bytes())
    script = layer(store, "a/script-1", usr__bin__run=b"#!/usr/bin/env perl\n", usr__bin__env=b"x")
    names = {need.name for need in found(store, program, script).unmet}
    assert names == {"/lib64/ld.so", "liba.so.1", "perl"}


def test_files_that_nobody_owns_are_listed_and_those_of_hooks(store: Store) -> None:
    package = layer(store, "a/b-1", etc__own=b"x")
    with store.workspace("test") as room:
        tree = room / "tree"
        (tree / "etc").mkdir(parents=True)
        (tree / "etc/hook").write_text("x")
        hook = commit(store, tree, kind="package", label="a/hook-1")
    state = layer(store, "m", "state", etc__profileDOTenv=b"", etc__stranger=b"")
    seen = found(store, package, hook, state)
    assert not seen.passed
    assert seen.unowned == ("/etc/stranger",)
    assert [(each.package, each.path) for each in seen.written] == [("a/hook-1", "/etc/hook")]


def test_only_new_layers_are_read(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = layer(store, "a/one-1", etc__one=b"x"), layer(store, "a/two-1", etc__two=b"x")
    read: list[str] = []
    real = surveyed.__globals__["surveys"].__globals__["survey"]
    monkeypatch.setitem(
        surveyed.__globals__["surveys"].__globals__, "survey",
        lambda layer: (read.append(layer.label), real(layer))[1],
    )  # fmt: skip
    found(store, one)
    found(store, one, two)
    found(store, one, two)
    assert read == ["a/one-1", "a/two-1"]


def test_a_layer_with_a_seed_in_it_has_no_owner(store: Store) -> None:
    seed = stored(store, "seed", "seed", **{"etc/of-the-seed": "x"})
    assert found(store, seed).unowned == ("/etc/of-the-seed",)


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("/bin/sh -e", ["/bin/sh"]),
        ("/usr/bin/env -S FOO=1 python3 -u", ["/usr/bin/env", "python3"]),
        ("/usr/bin/env", ["/usr/bin/env"]),
        ("@PERL@", []),
        ("", []),
    ],
)
def test_what_a_line_starts(line: str, wanted: list[str]) -> None:
    assert list(interpreters(line)) == wanted
