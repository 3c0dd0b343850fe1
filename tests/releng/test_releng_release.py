"""A whole small release, built from the files that catalyst was given: the same comes out.

Every difference is in `DIFFERENT`, with its reason; each of these must be there, so that the list
does not go stale.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
import release
from tests import booting
from tests.support import Store

pytestmark = [pytest.mark.real, pytest.mark.proof(name="catalyst")]

TARGETS = {
    "stage1": "stage1-amd64-openrc",
    "stage2": "stage2-amd64-openrc",
    "stage3": "stage3-amd64-openrc",
    "stage4": "stage4-amd64-openrc",
    "livecd-stage1": "livecd-stage1-amd64",
    "livecd-stage2": "livecd-stage2-amd64",
    "embedded": "embedded-amd64",
}
LATER = tuple(TARGETS)[1:6]
OVER_STAGE3 = ("stage4", "livecd-stage1", "livecd-stage2")
#: Paths, the targets where they differ, and why.
DIFFERENT: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("*/__pycache__*", LATER, "byte code that Python left in catalyst's chroot"),
    ("var/cache/edb/mtimedb", tuple(TARGETS), "a cache of Portage, with times"),
    ("var/cache/edb/dep*", LATER, "a cache of Portage"),
    ("var/cache/edb/vdb_blockers.pickle", LATER, "a cache of Portage"),
    ("var/cache/ldconfig*", ("stage1", *LATER), "a cache of ldconfig, with times"),
    ("var/cache/binpkgs", LATER, "catalyst's mount point for its pkgcache"),
    ("var/log/emerge*.log", LATER, "logs of the build"),
    ("var/db/repos/gentoo", ("stage1", "embedded"), "catalyst's mount point for the tree"),
    ("var/db/repos", ("embedded",), "catalyst's mount point for the tree"),
    ("var/db/repos/r1overlay", ("stage4",), "catalyst's mount point for the overlay"),
    (
        "var/lib/portage/preserved_libs_registry",
        ("stage1", "stage2", "stage3", "livecd-stage1", "embedded"),
        "empty",
    ),
    ("usr/livecd", ("livecd-stage1", "livecd-stage2"), "an empty directory"),
    ("usr/src/linux", ("livecd-stage2",), "catalyst's link leads to its kerncache"),
    (
        "var/db/pkg/sys-kernel/gentoo-kernel-*/PKGUSE",
        ("livecd-stage2",),
        "cloche says in package.use what catalyst says in the environment",
    ),
    ("var/lib/portage/world*", ("stage1", "embedded"), "empty"),
    ("var/lib/portage/world_sets", ("stage2", "stage3"), "empty"),
    ("etc/portage/env", LATER, "an empty directory that catalyst makes"),
    (
        "etc/portage/make.profile",
        ("stage1", "embedded"),
        "catalyst's link leads out of the root",
    ),
    ("etc/portage/binrepos.conf*", OVER_STAGE3, "of the source: docs/catalyst.md"),
    ("etc/.pwd.lock", ("stage4",), "a lock of useradd"),
    ("etc/resolv.conf", ("stage4",), "catalyst's has the mode of the host's"),
    (
        "var/db/pkg/sys-apps/baselayout-*/USE",
        ("stage1", "stage2"),
        "catalyst merges it with USE=build alone, then as all others",
    ),
)


@pytest.fixture(scope="module")
def place(root_seeded: Store, ground: Path) -> Iterator[Path]:
    """The release, built."""
    place = ground / "release"
    place.mkdir()
    store = root_seeded.copy(place / "cloche-store")
    release.make_release(place, store)
    for target in TARGETS:
        build(store, place, target)
    yield place
    shutil.rmtree(place)


def build(store: Store, place: Path, target: str, *more: str) -> None:
    told = store.cloche(
        "catalyst", "-c", "specs/catalyst.conf", "-f", f"specs/{target}.spec",
        "--set", f"TIMESTAMP={release.STAMP}", "--set", f"TREEISH={release.TREEISH}", *more,
        cwd=place, timeout=3600,
    )  # fmt: skip
    assert told.returncode == 0, told.stderr


@pytest.mark.parametrize("target", TARGETS)
def test_it_is_what_catalyst_makes_of_the_same_files(place: Path, target: str) -> None:
    theirs, their_texts = release.of_catalyst(TARGETS[target])
    builds = place / "store/builds/r1-default"
    (file,) = builds.glob(f"{TARGETS[target]}-{release.STAMP}.tar.*[2d]")
    ours, texts = release.of_tarball(file, their_texts)
    differing = {path for path in theirs.keys() | ours.keys() if theirs.get(path) != ours.get(path)}
    differing |= {
        path
        for path in their_texts.keys() & texts.keys()
        if counting(texts[path]) != counting(their_texts[path])
    }
    known = [pattern for pattern, targets, _ in DIFFERENT if target in targets]
    unknown = sorted(
        f"{path}: {theirs.get(path)} | {ours.get(path)}"
        for path in differing
        if not any(fnmatchcase(path, pattern) for pattern in known)
    )
    assert unknown == []
    stale = [p for p in known if not any(fnmatchcase(path, p) for path in differing)]
    assert stale == []


def counting(text: str) -> list[str]:
    """The lines of a file that count, words in order."""
    lines = (re.sub(r"\s+", " ", line).strip() for line in text.splitlines())
    return sorted(line for line in lines if line and not line.startswith("#"))


@pytest.fixture(scope="module")
def medium(place: Path, root_seeded: Store) -> Path:
    """The live medium with an option that dracut 059 of Debian needs for any root on a squashfs."""
    options = "console=ttyS0 rd.live.overlay.overlayfs=1"
    store = Store(place / "cloche-store", root_seeded.user)
    build(store, place, "livecd-stage2", "-C", f"livecd/bootargs={options}")
    return place / f"store/builds/r1-default/r1-amd64-minimal-{release.STAMP}.iso"


@pytest.mark.parametrize(("uefi", "cdrom"), [(False, True), (True, False)], ids=["CD", "disk"])
def test_the_live_system_starts(medium: Path, uefi: bool, cdrom: bool) -> None:
    """By BIOS as a CD and by UEFI as a disk: GRUB, the kernel, dracut, OpenRC of the squashfs."""
    last = "Starting default runlevel"
    said = booting.boot(medium, uefi=uefi, cdrom=cdrom, until=last, seconds=900)
    assert "Mounted root filesystem" in said
    assert last in said
