"""Building with catalyst, too: its command line, its storedir, the comparison.

The program here is a script that packs a given root; a real catalyst needs root and Gentoo.
"""

from __future__ import annotations

import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from cloche.catalyst.conf import read_conf
from cloche.catalyst.spec import parse_spec
from cloche.errors import ClocheError
from cloche.releng.auto_conf import Wanted
from cloche.releng.auto_specs import Item
from cloche.releng.calls import SpecFile
from cloche.releng.catalyst_log import why_failed
from cloche.releng.side_by_side import SideBySide

SPEC = """\
target: stage3
subarch: amd64
rel_type: r
version_stamp: 2026
source_subpath: r/seed
compression_mode: tar
"""
PROGRAM = """\
#!/bin/sh
printf '%s\\n' "$@" > "$0.words"
cd "$0.root" && tar -cf {place}/builds/r/stage3-amd64-2026.tar . || exit 2
cat {place}/builds/r/seed.tar.xz {place}/snapshots/tree.sqfs
"""


@pytest.fixture
def side_by_side(tmp_path: Path) -> SideBySide:
    """A storedir with an output, and a program that makes the other one."""
    store, theirs = tmp_path / "store", tmp_path / "theirs"
    for name in ("builds/r/seed.tar.xz", "snapshots/tree.sqfs"):
        (store / name).parent.mkdir(parents=True, exist_ok=True)
        (store / name).write_text(f"{name}\n")
    for name in ("etc/hostname", "usr/bin/tool"):
        (tmp_path / "catalyst.root" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "catalyst.root" / name).write_text("localhost\n")
    with tarfile.open(store / "builds/r/stage3-amd64-2026.tar", "w") as archive:
        archive.add(tmp_path / "catalyst.root", arcname=".")
    program = tmp_path / "catalyst"
    program.write_text(PROGRAM.format(place=theirs))
    program.chmod(0o755)
    (tmp_path / "catalyst.conf").write_text(f'storedir = "{store}"\n')
    (tmp_path / "a.spec").write_text(SPEC)
    conf = read_conf([tmp_path / "catalyst.conf"])
    confs = [tmp_path / "catalyst.conf"]
    return SideBySide(str(program), confs, conf, theirs, "--option 'a b'", tmp_path, tmp_path)


def item(place: Path, more: str = "") -> Item:
    file = place / "a.spec"
    file.write_text(SPEC + more)
    return Item(
        Wanted("a.spec", ""), SpecFile(file, file, place), parse_spec(SPEC + more, file), ""
    )


def test_catalyst_gets_its_own_storedir_and_nothing_differs(
    tmp_path: Path, side_by_side: SideBySide
) -> None:
    found = side_by_side(item(tmp_path))
    assert (found.status, found.differs, found.wrong) == (0, {}, ())
    theirs = tmp_path / "theirs"
    assert (tmp_path / "catalyst.words").read_text().splitlines() == [
        *("-a", "-c", f"{tmp_path}/catalyst.conf", "-c", f"{theirs}/catalyst.conf"),
        *("--option", "a b", "-f", f"{theirs}/specs/a.spec"),
    ]
    said = (tmp_path / "catalyst-a.log").read_text()
    assert said == "builds/r/seed.tar.xz\nsnapshots/tree.sqfs\n"


def test_what_is_lost_is_named_with_its_rule(tmp_path: Path, side_by_side: SideBySide) -> None:
    (tmp_path / "catalyst.root/usr/bin/more").write_text("")
    for number in range(7):
        (tmp_path / f"catalyst.root/etc/{number}").mkdir()
    found = side_by_side(item(tmp_path))
    assert list(found.differs.items()) == [("wrong", 1), ("to look at", 7)]
    lost = [f"to look at: directory-lost: etc/{number}" for number in range(5)]
    more = "to look at: directory-lost: 2 more"
    assert found.wrong == ("wrong: lost: usr/bin/more", *lost, more)


def test_a_failure_and_what_cannot_be_read_are_results(
    tmp_path: Path, side_by_side: SideBySide
) -> None:
    (tmp_path / "store/builds/r/stage3-amd64-2026.tar").write_bytes(b"no tarball" * 100)
    found = side_by_side(item(tmp_path))
    assert found.differs == {"not compared": 1}
    (tmp_path / "catalyst").write_text("#!/bin/sh\necho emerge: no such package\nexit 2\n")
    found = side_by_side(item(tmp_path))
    assert (found.status, found.detail) == (2, ("emerge: no such package",))


def test_images_and_caches_elsewhere_are_below_catalysts_own_storedir(
    tmp_path: Path, side_by_side: SideBySide
) -> None:
    # Catalyst would replace cloche's medium, and take the packages that cloche has built.
    store = tmp_path / "store"
    more = f"livecd/iso: {store}/builds/x.iso\npkgcache_path: {store}/packages/p\n"
    side_by_side(item(tmp_path, more))
    given = tmp_path / "theirs/specs/a.spec"
    spec = parse_spec(given.read_text(), given)
    assert spec.text("livecd/iso") == "x.iso"
    assert spec.text("pkgcache_path") == ""
    assert spec.text("rel_type") == "r"


def test_catalyst_is_not_called_where_it_would_write_elsewhere(
    tmp_path: Path, side_by_side: SideBySide
) -> None:
    ours = tmp_path / "store/builds/r"
    found = side_by_side(item(tmp_path, f"rename_regexp: s,.*/builds/r,{ours},\n"))
    assert found.differs == {"not compared": 1}
    assert f"catalyst would write {ours}/stage3-amd64-2026.tar" in found.wrong[0]
    assert not (tmp_path / "catalyst.words").exists()


def test_what_starts_from_a_build_that_failed_is_not_compared(
    tmp_path: Path, side_by_side: SideBySide
) -> None:
    child = replace(item(tmp_path), needs="seed.spec")
    found = side_by_side(child)
    assert found.differs == {"not compared": 1}
    assert found.wrong == ("catalyst has not built its source, seed.spec",)
    assert not (tmp_path / "catalyst.words").exists()
    made = tmp_path / "theirs/builds/r/seed.tar.xz"
    made.parent.mkdir(parents=True)
    made.touch()
    assert side_by_side(child).complete


def test_an_output_of_before_is_not_taken_for_one_of_now(
    tmp_path: Path, side_by_side: SideBySide
) -> None:
    assert side_by_side(item(tmp_path)).complete
    (tmp_path / "catalyst").write_text("#!/bin/sh\n")  # as catalyst, whose tar has failed
    assert side_by_side(item(tmp_path)).differs == {"not compared": 1}


def test_a_distdir_in_storedir_exists_for_catalyst(tmp_path: Path) -> None:
    file = tmp_path / "catalyst.conf"
    file.write_text(f'storedir = "{tmp_path}/store"\ndistdir = "%(storedir)s/distfiles"\n')
    theirs = tmp_path / "theirs"
    SideBySide("true", [file], read_conf([file]), theirs, "", tmp_path, tmp_path)
    assert (theirs / "distfiles").is_dir()


LOG = """\
28 Nov 2026 18:18:18 UTC: NOTICE  : --- Running action sequence: run_local
NOTICE:catalyst:--- Running action sequence: run_local
emerge: unexpected argument(s) for --resume: app-misc/note
28 Nov 2026 18:18:19 UTC: ERROR   : CatalystError: cmd(['controller.sh', 'run']) exited 1
28 Nov 2026 18:18:19 UTC: ERROR   : Exception running action sequence run_local
Traceback (most recent call last):
  File "stagebase.py", line 38, in run_sequence
    func()
catalyst.support.CatalystError: cmd(['controller.sh', 'run']) exited 1
"""


def test_of_catalysts_log_only_the_reason_is_shown(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text(LOG)
    assert why_failed(log) == (
        "emerge: unexpected argument(s) for --resume: app-misc/note",
        "CatalystError: cmd(['controller.sh', 'run']) exited 1",
    )
    trace = 'Traceback (most recent call last):\n  File "x"\nModuleNotFoundError: no DeComp\n'
    log.write_text("x" * 300_000 + "\n" + trace)
    assert why_failed(log)[-1] == "ModuleNotFoundError: no DeComp"


def test_a_program_that_is_not_there_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(ClocheError, match="not found"):
        SideBySide(
            str(tmp_path / "none"), [], read_conf([]), tmp_path / "x", "", tmp_path, tmp_path
        )
