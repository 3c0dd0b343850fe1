"""Staging: names and formats of Gentoo's mirrors; pruning removes nothing that it does not know."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import pytest

from cloche.errors import ClocheError
from cloche.releng.staging import prune, stage, to_copy, to_prune
from cloche.store.locks import held_directory

NOW = 1795874494.0
HEAD = "# Latest as of Sat, 28 Nov 2026 14:01:34 +0000\n# ts=1795874494\n"


def make(place: Path, names: Iterable[str]) -> None:
    for name in names:
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(name)


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path]:
    """A builds/ and the directory of a mirror."""
    builds, mirror = tmp_path / "builds", tmp_path / "mirror"
    make(
        builds,
        [
            "r/stage3-a-openrc-20260101T000000Z.tar.xz",
            "r/stage3-a-openrc-20260101T000000Z.tar.xz.CONTENTS.gz",
            "r/stage3-a-openrc-20260101T000000Z.tar.xz.DIGESTS",
            "r/stage3-a-openrc-20260101T000000Z.tar.xz.DIGESTS.asc",
            "r/stage3-a-openrc-20260101T000000Z.tar.xz.lock",
            "r/.stage3-a-openrc-20260201T000000Z.tar.xz.new",
            "r/stage3-a-openrc-20260201T000000Z.tar.xz",
            "r/install-a-20260101T000000Z.iso",
            "r/notes-20260101T000000Z.txt",
            "r/stage3-a-openrc-nodate.tar.xz",
        ],
    )
    (builds / "r/stage3-a-openrc-latest.tar.xz").symlink_to(
        "stage3-a-openrc-20260201T000000Z.tar.xz"
    )
    return builds, mirror


def files(place: Path) -> set[str]:
    return {str(p.relative_to(place)) for p in place.rglob("*") if p.is_file()}


def test_results_lie_in_directories_of_their_dates(places: tuple[Path, Path]) -> None:
    builds, mirror = places
    stage(builds, mirror, NOW)
    first = "20260101T000000Z/stage3-a-openrc-20260101T000000Z.tar.xz"
    assert {name for name in files(mirror) if name[0] == "2"} == {
        first,
        f"{first}.CONTENTS.gz",
        f"{first}.DIGESTS",
        f"{first}.DIGESTS.asc",
        "20260101T000000Z/install-a-20260101T000000Z.iso",
        "20260201T000000Z/stage3-a-openrc-20260201T000000Z.tar.xz",
    }
    assert to_copy(builds, mirror) == {}
    os.utime(builds / "r/install-a-20260101T000000Z.iso", (1, 1))  # built again
    assert len(to_copy(builds, mirror)) == 1


def test_latest_and_current_are_as_on_the_mirrors(places: tuple[Path, Path]) -> None:
    builds, mirror = places
    make(mirror, ["current-stage3-a-openrc/stays"])
    (mirror / "current-stage3-a-openrc/old.tar.xz").symlink_to("../gone/old.tar.xz")
    (mirror / "current-install-a").symlink_to("20260101T000000Z")
    stage(builds, mirror, NOW)
    line = "20260201T000000Z/stage3-a-openrc-20260201T000000Z.tar.xz 41\n"
    assert (mirror / "latest-stage3-a-openrc.txt").read_text() == HEAD + line
    assert (mirror / "latest-stage3.txt").read_text() == HEAD + line
    iso = "20260101T000000Z/install-a-20260101T000000Z.iso 32\n"
    assert (mirror / "latest-iso.txt").read_text() == HEAD + iso
    current = mirror / "current-stage3-a-openrc"
    assert (current / "latest-stage3-a-openrc.txt").read_text() == (HEAD + line.partition("/")[2])
    name = "stage3-a-openrc-20260201T000000Z.tar.xz"
    assert str((current / name).readlink()) == f"../20260201T000000Z/{name}"
    assert (current / "stays").exists()
    assert not (current / "old.tar.xz").is_symlink()
    assert (mirror / "current-install-a").is_dir()
    assert not (mirror / "current-install-a").is_symlink()
    assert not (mirror / "latest-qcow2.txt").exists()


def test_lists_are_signed_before_they_have_their_names(places: tuple[Path, Path]) -> None:
    builds, mirror = places

    def sign(file: Path, target: Path) -> None:
        assert not (mirror / "latest-iso.txt").exists() or "iso" not in target.name
        target.write_text(f"signed\n{file.read_text()}")

    stage(builds, mirror, NOW, sign)
    assert (mirror / "latest-iso.txt").read_text().startswith("signed\n# Latest")
    assert not [name for name in files(mirror) if "/." in f"/{name}"]


def test_only_old_directories_are_removed_and_none_with_the_latest(tmp_path: Path) -> None:
    dates = [f"202601{day:02}T000000Z" for day in range(1, 10)]
    make(tmp_path, [f"{date}/stage3-a-{date}.tar.xz" for date in dates])
    make(tmp_path, [f"{dates[0]}/rare-a-{dates[0]}.iso", "notes/20260101/x", "20991231x/y"])
    make(tmp_path, [f"{dates[1]}/stage3-a-{dates[1]}.tar.xz.sha256"])
    wanted = [each.directory.name for each in to_prune(tmp_path)]
    assert wanted == [dates[3], dates[2], dates[1]]  # the first has the only rare one
    assert len(files(tmp_path)) == 13
    prune(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        [dates[0], *dates[4:], "notes", "20991231x"]
    )


def test_a_date_that_a_list_or_a_link_names_is_not_removed(tmp_path: Path) -> None:
    dates = [f"202601{day:02}" for day in range(1, 7)]
    make(tmp_path, [f"{date}/stage3-a-{date}.tar.xz" for date in dates])
    assert len(to_prune(tmp_path, 0)) == 5
    list_ = tmp_path / "latest-stage3-a.txt"  # the newest was withdrawn by hand
    list_.write_text(f"# Latest as of 20260103\n{dates[4]}/stage3-a-{dates[4]}.tar.xz 5\n")
    (tmp_path / "current-stage3-a").mkdir()
    name = f"stage3-a-{dates[3]}.tar.xz"
    (tmp_path / "current-stage3-a" / name).symlink_to(f"../{dates[3]}/{name}")
    (tmp_path / "current-iso").symlink_to(dates[1])
    found = prune(tmp_path, 0)
    assert [each.directory.name for each in found] == [dates[0]]
    assert {path.name for path in tmp_path.glob("2*")} == {*dates[1:]}


def test_a_directory_with_something_unknown_stays_as_it_is(tmp_path: Path) -> None:
    old, new = "20260101", "20260102"
    outside = tmp_path / "outside"
    outside.mkdir()
    mirror = tmp_path / "mirror"
    make(mirror, [f"{date}/stage3-a-{date}.tar.xz" for date in (old, new)])
    make(mirror, [f"{old}/README"])
    (mirror / "20250101").symlink_to(outside)
    found = prune(mirror, 0)
    assert [(each.directory.name, each.unknown) for each in found] == [(old, ("README",))]
    assert (mirror / f"{old}/stage3-a-{old}.tar.xz").exists()
    assert outside.exists()


@pytest.mark.parametrize("strange", ["sub/stage3-a-20260101.tar.xz", "stage3-a-20260102.tar.xz"])
def test_what_is_not_a_result_of_that_date_is_unknown(tmp_path: Path, strange: str) -> None:
    make(tmp_path, ["20260101/stage3-a-20260101.tar.xz", "20260103/stage3-a-20260103.tar.xz"])
    make(tmp_path, [f"20260101/{strange}"])
    (found,) = prune(tmp_path, 0)
    assert found.unknown
    assert len(files(tmp_path)) == 3


def test_one_process_at_a_time(tmp_path: Path) -> None:
    with held_directory(tmp_path) as held:
        assert held
        with pytest.raises(ClocheError, match="another process"):
            prune(tmp_path)
