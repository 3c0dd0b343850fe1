"""Media and disks of specs: their machines, what is on them, their boot menu."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.catalyst.made import declared, machine

from cloche.catalyst import tools
from cloche.catalyst.conf import read_conf
from cloche.catalyst.machines import project_of
from cloche.catalyst.making import Copied, Inputs, Project, Unpacked
from cloche.catalyst.menu import Choice, menu, quoted
from cloche.catalyst.spec import parse_spec
from cloche.catalyst.subarchs import Subarch
from cloche.config.errors import ConfigError

RELEASE = Path(__file__).parent / "release"
PC = Subarch()
DISK = """\
target: diskimage-stage2
subarch: amd64
version_stamp: 1
rel_type: disks
profile: default/linux/amd64/23.0/systemd
snapshot_treeish: x
source_subpath: disks/stage1
diskimage/qcow2: disk.qcow2
diskimage/type: ssh
diskimage/sshkey: ssh-ed25519 AAAA me@home
boot/kernel: gentoo
boot/kernel/gentoo/distkernel: yes
"""


def project(text: str, subarch: Subarch = PC) -> Project:
    conf = read_conf([RELEASE / "catalyst.conf"])
    inputs = Inputs(subarch, Path("/source.tar"), Path("/snapshots/gentoo-x.sqfs"))
    return project_of(parse_spec(text, Path("x.spec")), conf, inputs)


def live(more: str = "", subarch: Subarch = PC) -> Project:
    return project((RELEASE / "livecd-stage2.spec").read_text() + f"\n{more}\n", subarch)


def last(made: Project) -> dict[str, Any]:
    return machine(made, made.machines[-1])


def kinds(machine: dict[str, Any]) -> list[str]:
    """The steps of a machine: their kind, of a hook its name."""
    steps = [next(iter(step.items())) for step in machine["finish"]]
    return [value.removeprefix("hooks/") if kind == "hook" else kind for kind, value in steps]


def test_a_live_system_is_finished_in_catalysts_order() -> None:
    made = live("livecd/depclean: keepbdeps\nlivecd/users: nobody\nlivecd/root_overlay: /over")
    assert made.machines[-1] == "livecd-stage2"
    machine = last(made)
    assert kinds(machine) == [
        *("files", "live", "remove", "files", "files", "fsscript", "services", "services_on"),
        *("depclean", "unmerge", "remove", "empty", "remove", "remove", "files"),
    ]
    (depclean,) = [step for step in machine["finish"] if step.get("hook") == "hooks/depclean"]
    assert depclean["environment"] == {"BDEPS": "y"}
    assert "packages" not in machine
    assert "depclean" not in kinds(last(live()))
    assert (
        made.files["live/etc/portage/make.conf.old"] != made.files["finish/etc/portage/make.conf"]
    )


def test_a_medium_has_its_files_in_catalysts_order() -> None:
    made = live(
        "livecd/cdtar: /boot.tar.bz2\nlivecd/overlay: /a /b\nlivecd/readme: /README\n"
        "livecd/verify: blake2\nlivecd/iso_extra_partition: 400000\n"
        "livecd/type: gentoo-release-livecd"
    )
    image = last(made)["output"]["images"]["iso"]
    assert image["files"] == ["cdtar", "medium", "overlay/0", "overlay/1"]
    assert image["volid"] == "R1-amd64-@TIMESTAMP@"
    assert image["squashfs_options"] == ["-c", "zstd", "-X", "level=3"]
    assert image["verify"] is True
    assert image["extra_partition"] == "400000K"
    assert image["copy"]["boot"] == "/var/lib/cloche/boot"
    assert made.files["cdtar"] == Unpacked(Path("/boot.tar.bz2"))
    assert made.files["medium/README.txt"] == Copied(Path("/README"))
    assert made.files["medium/livecd"] == ""
    snapshot = Copied(Path("/snapshots/gentoo-x.sqfs"))
    assert made.files["medium/snapshots/gentoo-x.sqfs"] == snapshot
    assert declared(made)["seeds"]["tools"] == tools.seed()


def test_modules_are_on_the_list_before_an_initramfs_is_made() -> None:
    made = live("livecd/modblacklist: floppy pcspkr")
    assert made.machines[0] == "modules"
    (step,) = machine(made, "modules")["finish"]
    assert step["environment"] == {"MODULES": "floppy pcspkr"}


def test_without_a_name_there_is_no_medium() -> None:
    text = (RELEASE / "livecd-stage2.spec").read_text()
    made = project("".join(line for line in text.splitlines(True) if "/iso:" not in line))
    assert last(made)["output"] == {"stage4": True, "compression": "zstd"}


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ("livecd/fstype: jffs2", "“jffs2” is not a supported file system"),
        ("livecd/iso_extra_partition: 1G", "“1G” is not a size"),
        ("livecd/iso_extra_partition: 0", "“0” is not a size"),
    ],
)
def test_what_is_wrong_with_a_medium_has_its_line(more: str, what: str) -> None:
    with pytest.raises(ConfigError, match=what) as raised:
        live(more)
    assert str(raised.value).startswith("x.spec:")


@pytest.mark.parametrize(
    ("subarch", "package"),
    [
        (Subarch(), "grub-pc-bin:amd64"),
        (Subarch(chost="i686-pc-linux-gnu", arch="x86"), "grub-efi-ia32-bin:amd64"),
        (Subarch(chost="aarch64-unknown-linux-gnu", arch="arm64"), "grub-efi-arm64-bin:arm64"),
        (Subarch(chost="riscv64-unknown-linux-gnu"), "grub-efi-riscv64-bin:riscv64"),
    ],
)
def test_the_tools_have_the_grub_of_the_cpu_alone(subarch: Subarch, package: str) -> None:
    for made in (live(subarch=subarch), project(DISK, subarch)):
        assert last(made)["output"]["images"]
        packages = declared(made)["seeds"]["tools"]["packages"]
        assert package in packages
        kinds = {each.partition(":")[2] for each in packages if each.startswith("grub-")}
        assert kinds == {"", package.partition(":")[2]}


@pytest.mark.parametrize(
    ("subarch", "why"),
    [
        (Subarch(chost="hppa2.0-unknown-linux-gnu"), "for hppa2.0: they boot with palo"),
        (Subarch(arch="ppc"), "for ppc: they boot with Open Firmware"),
        (Subarch(chost="aarch64_be-unknown-linux-gnu"), "for aarch64_be: cloche has no GRUB"),
    ],
)
def test_an_image_for_another_cpu_is_refused_with_the_reason(subarch: Subarch, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        live(subarch=subarch)
    with pytest.raises(ConfigError, match=why):
        project(DISK, subarch)
    without = DISK.replace("diskimage/qcow2: disk.qcow2\n", "")
    assert "output" not in last(project(without, subarch))


def test_a_disk_is_of_systemd_and_has_no_tarball() -> None:
    made = project(DISK + "diskimage/qcow2_size: 4GiB\ndiskimage/qcow2_roottype: ext4\n")
    machine = last(made)
    assert machine["output"] == {
        "images": {
            "qcow2": {
                "format": "qcow2",
                "tools": "tools",
                "kernel_options": "console=ttyS0 console=tty0",
                "root_type": "ext4",
                "size": "4GiB",
            }
        }
    }
    assert kinds(machine) == ["disk", "depclean", "remove", "remove", "files", "disk-last"]
    environment = machine["finish"][0]["environment"]
    assert environment == {"TYPE": "ssh", "SSHKEY": "ssh-ed25519 AAAA me@home"}
    assert machine["finish"][-1]["environment"] == {"ROOT_TYPE": "ext4"}


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ("profile: default/linux/amd64/23.0", "the profile is not for systemd"),
        ("diskimage/type: consol", "did you mean “console”"),
        ("diskimage/qcow2_size: 1000", "“1000” is not a size in whole MiB"),
        ("diskimage/qcow2_efisize: lots", "“lots” is not a size in whole MiB"),
        ("diskimage/qcow2_roottype: ext3", "did you mean “ext4”"),
    ],
)
def test_what_is_wrong_with_a_disk_has_its_line(more: str, what: str) -> None:
    with pytest.raises(ConfigError, match=what) as raised:
        project(f"{DISK}{more}\n")
    assert str(raised.value).startswith("x.spec:")


def test_the_menu_offers_each_kernel_as_its_initramfs_finds_the_medium() -> None:
    choices = (
        Choice("gentoo", dracut=True, consoles=("ttyS0,115200",)),
        Choice("old", dracut=False),
    )
    text = menu(choices, "Gentoo amd64", "dokeymap nodhcp")
    lines = [line.strip() for line in text.splitlines()]
    starts = [line for line in lines if line.startswith("linux /boot/")]
    assert len(starts) == 7
    assert starts[0].startswith(
        "linux /boot/gentoo dokeymap nodhcp 'root=live:CDLABEL=Gentoo amd64'"
    )
    assert starts[0].endswith(" rd.live.dir=/ rd.live.squashimg=image.squashfs cdroot")
    assert starts[1].endswith(" cdroot rd.live.ram=1")
    assert starts[3].endswith(" cdroot console=ttyS0,115200")
    assert starts[4] == (
        "linux /boot/old dokeymap nodhcp looptype=squashfs loop=/image.squashfs cdroot"
    )
    assert starts[5].endswith(" docache")
    assert lines.count("search --no-floppy --set=root -l 'Gentoo amd64'") == 4
    assert lines.count("initrd /boot/old.igz") == 3
    assert text.count("{") == text.count("}")


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("console=ttyS0,115200n8", "console=ttyS0,115200n8"),
        ("a b", "'a b'"),
        ("it's", "'it'\\''s'"),
        ("$x", "'$x'"),
        ("", "''"),
    ],
)
def test_words_are_quoted_where_grub_would_read_them_otherwise(word: str, text: str) -> None:
    assert quoted(word) == text
