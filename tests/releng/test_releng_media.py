"""A live medium and a disk, built by ``cloche catalyst -f`` from their first stages on.

The kernel and systemd are Debian's, as packages in the tree of `small`.
"""

from __future__ import annotations

import gzip
import json
import subprocess
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from tests import bootable, booting
from tests.releng.kernel import DRACUT, UDEV, add_bundle, add_kernel
from tests.releng.small import COMMON, NOTE, Release, released
from tests.support import Store

from cloche.comparison.comparison import Tree
from cloche.comparison.inventory import Item
from cloche.comparison.outputs import read_output
from cloche.seeds.debian.packages import installed
from cloche.seeds.debian.provided import provided_packages, rules

pytestmark = pytest.mark.real

SYSTEMD = (
    *("systemd", "systemd-sysv", "libsystemd-shared", "libcryptsetup12", "libargon2-1"),
    *("libjson-c5", "libfdisk1", "libip4tc2", *UDEV),
)
KERNEL = """\
boot/kernel: gentoo
boot/kernel/gentoo/distkernel: yes
boot/kernel/gentoo/config: {place}/live.config
"""
#: What makes images large, and nothing needs in the end.
LARGE = "/usr/lib/gcc* /usr/include /usr/lib/x86_64-linux-gnu/*.a /usr/share/perl* /usr/lib/*/perl*"
SPECS = {
    "livecd-stage1": """\
target: livecd-stage1
profile: default
livecd/packages: app-misc/note app-misc/asks-gone app-misc/memtest sys-apps/systemd
""",
    "livecd-stage2": f"""\
target: livecd-stage2
profile: default
livecd/iso: live.iso
livecd/volid: LIVE
livecd/cdtar: {{place}}/cdtar.tar.bz2
livecd/fsops: -c zstd -X level=1
livecd/unmerge: app-misc/note
livecd/empty: /srv/full
livecd/fsscript: {{place}}/live.sh
livecd/rm: {LARGE}
{KERNEL}boot/kernel/gentoo/dracut_args: -m "base kernel-modules" --no-hostonly --no-compress
""",
    "diskimage-stage1": """\
target: diskimage-stage1
profile: disk/systemd
diskimage/packages: app-misc/note app-misc/asks-gone sys-apps/systemd
""",
    "diskimage-stage2": f"""\
target: diskimage-stage2
profile: disk/systemd
diskimage/qcow2: disk.qcow2
diskimage/qcow2_size: 3GiB
diskimage/qcow2_efisize: 128MiB
diskimage/type: console
diskimage/empty: /usr/share/note
diskimage/rm: {LARGE}
{KERNEL}boot/kernel/gentoo/dracut_args: -m "base rootfs-block fs-lib udev-rules kernel-modules" \
--no-hostonly --no-compress
""",
}
#: Packages that the specs, or the kernels, install.
OWN = {
    *("app-misc/asks-gone", "app-misc/gone", "app-misc/memtest", "app-misc/note"),
    *("sys-apps/systemd", "sys-kernel/dracut", "sys-kernel/gentoo-kernel"),
}
MEMTEST = """
src_install() {
	insinto /boot/memtest86plus
	newins - memtest64.bios <<< bios
	newins - memtest.efi64 <<< efi
}
"""
THEME = "boot/grub/themes/gentoo_frosted/theme.txt"
#: The EFI program of removable media, and its machine type (PE format, COFF file header).
PROGRAMS = {"BOOTX64.EFI": 0x8664, "BOOTIA32.EFI": 0x014C}


def keep_seed(tree: Path) -> None:
    """Let what the seed stands for be a part of @system: depclean would unmerge it, one by one."""
    (seed,) = (tree.parent / "cloche-store/layers").glob("*/usr/lib/python3.11/../../..")
    known = provided_packages(installed(seed), rules())
    atoms = [f"*={package.cpv}" for package in known]
    (tree / "profiles/base/packages").write_text("\n".join([*atoms, ""]))


def add(tree: Path) -> None:
    """Add what the specs name to the tree of `small`, and write the specs."""
    add_kernel(tree, DRACUT)
    add_bundle(tree, "sys-apps/systemd", SYSTEMD)
    own = NOTE[: NOTE.index("\nsrc_install")]
    for name, more in (("asks-gone", 'DEPEND="app-misc/gone"\n'), ("memtest", MEMTEST)):
        ebuild = tree / f"app-misc/{name}/{name}-1.ebuild"
        ebuild.parent.mkdir()
        ebuild.write_text(f"{own}\n{more}")
    profile = tree / "profiles/disk/systemd"
    profile.mkdir(parents=True)
    (profile / "eapi").write_text("8\n")
    (profile / "parent").write_text("../../default\n")
    place = tree.parent
    keep_seed(tree)
    (place / "live.config").write_text("CONFIG_SPECIAL=y\n")
    (place / "live.sh").write_text("mkdir -p /srv/full/below && touch /srv/full/{file,.hidden}\n")
    theme = place / "cdtar" / THEME
    theme.parent.mkdir(parents=True)
    theme.write_text("title-text: small\n")
    (place / "cdtar/README.txt").write_text("of the cdtar\n")
    with tarfile.open(place / "cdtar.tar.bz2", "w:bz2") as archive:
        archive.add(place / "cdtar", ".")
    for name, text in SPECS.items():
        common = COMMON
        if name.endswith("stage2"):
            first = f"small/{name[:-1]}1-amd64-@TIMESTAMP@"
            common = COMMON.replace("small/seed", first)
        (place / f"{name}.spec").write_text((common + text).replace("{place}", str(place)))


@pytest.fixture(scope="module")
def built(root_tools: Store, ground: Path) -> Iterator[Release]:
    """All four specs, built."""
    with released(root_tools, ground, "media", add) as made:
        for name in SPECS:
            told = made.run(name)
            assert told.returncode == 0, told.stderr
        yield made


def output(built: Release, name: str) -> Path:
    return built.place / "store/builds/small" / name


@pytest.fixture(scope="module")
def medium(built: Release) -> Mapping[str, Tree]:
    """The trees on the medium: of its own files, and of the root."""
    return {tree.name: tree for tree in read_output(output(built, "live.iso"))}


@pytest.fixture(scope="module")
def disk(built: Release) -> Mapping[str, Tree]:
    """The trees on the disk: of its partitions, of the files at /boot, and of the root."""
    trees = read_output(output(built, "disk.qcow2"))
    return {tree.name.partition(" (")[0]: tree for tree in trees}


def items(tree: Tree) -> Mapping[str, Item]:
    return tree.inventory.items


def partitions(told: bytes) -> list[dict[str, Any]]:
    """What sfdisk(8) says of the partitions of a disk."""
    found: list[dict[str, Any]] = json.loads(told)["partitiontable"]["partitions"]
    return found


def text(tree: Tree, name: str) -> str:
    return (items(tree)[name].text or b"").decode()


def packages(tree: Tree) -> set[str]:
    """The packages, without those that the seed stands for."""
    return {name.partition(":")[0] for name in tree.inventory.packages} & OWN


def test_a_medium_has_the_files_of_cdtar_and_memtest_but_its_own_readme(
    built: Release, medium: Mapping[str, Tree]
) -> None:
    names = items(medium[""])
    assert {THEME, "memtest64.bios", "memtest.efi64", "livecd", "README.txt"} <= names.keys()
    assert names["boot/gentoo"].size > 1_000_000
    assert names["boot/gentoo.igz"].size > 100_000
    assert names["README.txt"].size != len("of the cdtar\n")
    menu = bootable.on_medium(output(built, "live.iso"), "/boot/grub/grub.cfg").decode()
    assert "if [ -e /memtest.efi64" in menu
    assert "root=live:CDLABEL=LIVE" in menu


def test_a_medium_boots_with_bios_and_both_kinds_of_uefi(built: Release) -> None:
    image = output(built, "live.iso")
    entries = bootable.boot_catalog(image)
    assert entries.keys() == {0, 0xEF}
    for name, machine in PROGRAMS.items():
        program = bootable.extracted(image, entries[0xEF] * 4, f"EFI/BOOT/{name}")
        assert bootable.machine_of(program) == machine


def test_depclean_leaves_what_the_world_needs_and_the_modules(medium: Mapping[str, Tree]) -> None:
    root = medium["image.squashfs"]
    assert packages(root) == {"app-misc/asks-gone", "app-misc/memtest", "sys-apps/systemd"}
    names = items(root)
    assert any(name.endswith("virtio_net.ko") for name in names)
    assert not [name for name in names if name.startswith(("usr/src/linux-", "usr/lib/dracut/"))]
    assert "var/lib/portage/world" in names
    assert "var/log/emerge.log" not in names


def test_rm_takes_whole_paths_and_empty_what_directories_hold(medium: Mapping[str, Tree]) -> None:
    root = medium["image.squashfs"]
    names = items(root)
    assert "srv/full" in names
    assert not [name for name in names if name.startswith("srv/full/")]
    assert not [name for name in names if name.startswith(("usr/include", "usr/lib/gcc"))]
    assert not [name for name in names if name.startswith("usr/lib/x86_64-linux-gnu/perl")]
    assert "usr/share/note" not in names  # unmerged


def test_a_disk_has_a_boot_partition_with_grub_and_the_kernel(
    built: Release, disk: Mapping[str, Tree]
) -> None:
    assert disk[""].about["form"] == "qcow2"
    (kernel,) = (name for name in items(disk["partition 1"]) if name.startswith("vmlinuz-"))
    version = kernel.removeprefix("vmlinuz-")
    raw = built.place / "disk.raw"
    subprocess.run(["qemu-img", "convert", output(built, "disk.qcow2"), raw], check=True)
    told = subprocess.run(["sfdisk", "--json", raw], check=True, capture_output=True).stdout
    found = [(part["name"], part["start"], part["size"]) for part in partitions(told)]
    middle = 2048 + (128 << 11)
    assert found == [
        ("gentooefi", 2048, 128 << 11),
        ("gentooroot", middle, (3 << 21) - 2048 - middle),
    ]
    menu = bootable.extracted(raw, 2048, "grub/grub.cfg").decode()
    assert f"initrd /initrd.img-{version}" in menu
    for name, machine in PROGRAMS.items():
        assert bootable.machine_of(bootable.extracted(raw, 2048, f"EFI/BOOT/{name}")) == machine
    raw.unlink()


def test_a_disk_has_the_system_for_its_type(disk: Mapping[str, Tree]) -> None:
    root = disk["partition 2"]
    assert root.kind == "xfs"
    assert packages(root) == {"app-misc/asks-gone", "app-misc/note", "sys-apps/systemd"}
    lines = text(root, "etc/fstab").splitlines()
    assert [line.split()[:3] for line in lines] == [
        ["LABEL=gentooroot", "/", "xfs"],
        ["LABEL=gentooefi", "/boot", "vfat"],
    ]
    assert "DHCP=yes" in text(root, "etc/systemd/network/default.network")
    assert text(root, "etc/shadow").startswith("root::")
    assert items(root)["etc/machine-id"].size == 0
    assert "usr/share/note" in items(root)
    assert "usr/share/note/use" not in items(root)
    assert not [name for name in items(root) if name.startswith("boot/")]


def test_files_of_a_disk_are_those_of_its_root(built: Release, disk: Mapping[str, Tree]) -> None:
    """With modes that a prototype file cannot have, names with a space, and times."""
    names = items(disk["partition 2"])
    assert names["tmp"].mode == 0o1777
    assert names["usr/bin/su"].mode == 0o4755
    assert [name for name in names if " " in name]
    contents = output(built, "disk.qcow2.CONTENTS.gz")
    listed = gzip.decompress(contents.read_bytes()).decode().splitlines()
    assert len(listed) - 1 == len(names)


@pytest.mark.proof(name="catalyst")
def test_the_system_of_a_disk_starts(built: Release) -> None:
    """UEFI, GRUB, the kernel, dracut, systemd of the XFS."""
    image = output(built, "disk.qcow2")
    said = booting.boot(image, uefi=True, cdrom=False, until=" login:", seconds=900)
    assert " login:" in said


def test_a_failing_step_names_its_key(built: Release) -> None:
    told = built.run("diskimage-stage2", "-C", "diskimage/type=ssh")  # there is no sshd
    assert told.returncode == 2
    assert "diskimage/type: disk: status 1" in told.stderr
