"""The kernels in /boot of a disk, and its boot menu."""

from __future__ import annotations

from cloche.output.qcow2 import Kernel, kernels_in, menu


def test_kernels_are_found_with_their_initramfs_the_newest_first() -> None:
    names = [
        *("System.map-6.9.1", "config-6.9.1", "grub", "vmlinuz-6.9.1", "initramfs-6.9.1.img"),
        *("vmlinuz-6.12.3-gentoo", "kernel-5.15", "initrd.img-5.15", "vmlinuz"),
    ]
    assert kernels_in(names) == (
        Kernel("6.12.3-gentoo", "vmlinuz-6.12.3-gentoo"),
        Kernel("6.9.1", "vmlinuz-6.9.1", "initramfs-6.9.1.img"),
        Kernel("5.15", "kernel-5.15", "initrd.img-5.15"),
    )
    assert kernels_in(["config-1", "vmlinuz-"]) == ()


def test_versions_of_words_and_numbers_can_be_ordered() -> None:
    names = ["vmlinuz-6.1", "vmlinuz-gentoo", "vmlinuz-6.1-rc2", "vmlinuz-6.1-rc10"]
    assert [each.version for each in kernels_in(names)] == ["6.1-rc10", "6.1-rc2", "6.1", "gentoo"]


def test_the_menu_names_the_root_by_its_partition() -> None:
    kernels = (Kernel("6.9", "vmlinuz-6.9", "initramfs-6.9.img"), Kernel("5", "vmlinuz-5"))
    lines = menu(kernels, "abc", "console=ttyS0").splitlines()
    assert "\tlinux /vmlinuz-6.9 root=PARTUUID=abc ro console=ttyS0" in lines
    assert "\tinitrd /initramfs-6.9.img" in lines
    assert lines.count("}") == 2
    assert sum(line.startswith("\tinitrd") for line in lines) == 1
