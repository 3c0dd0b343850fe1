"""What images need of a machine's root, as it is looked for before anything is built."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests import values

from cloche.config.machine import Machine, load_machine
from cloche.layers import Layer
from cloche.output.image_checks import presences

SEEDS = frozenset({"debian", "tools"})
BOOTS = 'format = "disk"\nBootable = true\n'


def machine(root: Path, image: str, more: str = "") -> Machine:
    head = 'profile = "own:default"\nseed = "debian"\nroot = "own"\npackages = ["app-misc/x"]\n'
    text = f'{head}{more}\n[output.images.x]\ntools = "tools"\n{image}'
    (root / "machine.toml").write_text(text)
    return load_machine("m", root / "machine.toml", root, SEEDS, frozenset({"own"}))


def tools_of(root: Path, *files: str) -> Layer:
    (root / "tools").mkdir()
    values.write_files(root / "tools", files)
    return values.layer(root / "tools", "tools", kind="seed")


RELEASE = ("usr/lib/os-release",)
KERNEL = ("usr/lib/modules/*/vmlinu[xz]*", "boot/vmlinuz-*")
INITRAMFS = ("boot/initramfs*", "boot/initrd*")
INITS = ("sbin/init", "etc/init", "bin/init", "bin/sh", *INITRAMFS)


@pytest.mark.parametrize(
    ("image", "wanted"),
    [
        ('format = "squashfs"', []),
        ('format = "sysext"', []),
        ('format = "tar"', [RELEASE]),
        (BOOTS, [RELEASE, KERNEL, INITS]),
        (f'{BOOTS}Initrds = ["/boot/x.img"]', [RELEASE, KERNEL]),
        (
            f'{BOOTS}KernelCommandLine = ["init=/in[it"]',
            [RELEASE, KERNEL, ("/in[[]it", *INITRAMFS)],
        ),
        ('format = "uki"', [RELEASE, KERNEL, ("init", "usr/lib/systemd/systemd")]),
        ('format = "esp"\nKernelCommandLine = ["rdinit=/x"]', [RELEASE, KERNEL, ("/x",)]),
        ('format = "qcow2"\nkernel_options = "init=/x"', [None, ("/x", *INITRAMFS)]),
    ],
)
def test_each_format_has_its_needs(
    tmp_path: Path, image: str, wanted: list[tuple[str, ...] | None]
) -> None:
    tools = {"tools": tools_of(tmp_path, "usr/lib/systemd/boot/efi/linuxx64.efi.stub")}
    found = [each.paths for each in presences(machine(tmp_path, image), tools)]
    assert [w or f for w, f in zip(wanted, found, strict=True)] == found


def test_with_an_initramfs_of_dracut_the_first_program_is_its(tmp_path: Path) -> None:
    kernel = '[kernel]\nsources = "sys-kernel/x"\ninitramfs = "dracut"\n'
    bare = {"tools": tools_of(tmp_path)}  # of systemd-boot, too
    found = [each.paths for each in presences(machine(tmp_path, BOOTS, kernel), bare)]
    assert found == [RELEASE, KERNEL, ("usr/lib/systemd/boot/efi",)]
