"""Building with catalyst, too: its command line, its storedir, the comparison.

The program here is a script that packs a given root; a real catalyst needs root and Gentoo.
"""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from cloche.catalyst.conf import read_conf
from cloche.catalyst.spec import parse_spec
from cloche.errors import ClocheError
from cloche.releng.auto_conf import Wanted
from cloche.releng.auto_specs import Item
from cloche.releng.calls import SpecFile
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


def item(place: Path) -> Item:
    file = place / "a.spec"
    return Item(Wanted("a.spec", ""), SpecFile(file, file, place), parse_spec(SPEC, file))


def test_catalyst_gets_its_own_storedir_and_nothing_differs(
    tmp_path: Path, side_by_side: SideBySide
) -> None:
    found = side_by_side(item(tmp_path))
    assert (found.status, found.differs, found.wrong) == (0, {}, ())
    theirs = tmp_path / "theirs"
    assert (tmp_path / "catalyst.words").read_text().splitlines() == [
        *("-a", "-c", f"{tmp_path}/catalyst.conf", "-c", f"{theirs}/catalyst.conf"),
        *("--option", "a b", "-f", f"{tmp_path}/a.spec"),
    ]
    said = (tmp_path / "catalyst-a.log").read_text()
    assert said == "builds/r/seed.tar.xz\nsnapshots/tree.sqfs\n"


def test_what_is_lost_is_named_with_its_rule(tmp_path: Path, side_by_side: SideBySide) -> None:
    (tmp_path / "catalyst.root/usr/bin/more").write_text("")
    found = side_by_side(item(tmp_path))
    assert found.differs["wrong"] >= 1
    assert any("usr/bin/more" in each for each in found.wrong)


def test_a_failure_and_what_cannot_be_read_are_results(
    tmp_path: Path, side_by_side: SideBySide
) -> None:
    (tmp_path / "store/builds/r/stage3-amd64-2026.tar").write_bytes(b"no tarball" * 100)
    found = side_by_side(item(tmp_path))
    assert found.differs == {"not compared": 1}
    (tmp_path / "catalyst").write_text("#!/bin/sh\nexit 2\n")
    assert side_by_side(item(tmp_path)).status == 2


def test_a_program_that_is_not_there_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(ClocheError, match="not found"):
        SideBySide(
            str(tmp_path / "none"), [], read_conf([]), tmp_path / "x", "", tmp_path, tmp_path
        )
