"""GRUB's boot images, made by the tools' grub-mkimage(1) for each platform that they support."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cloche.layers import Merged
from cloche.output.imaging import GIVEN, OUT, Imaging

PLATFORMS = "usr/lib/grub"
MENU = "boot/grub/grub.cfg"  # a medium with this file boots
BIOS = "i386-pc"
#: Platforms of UEFI with the name of a removable medium's program (UEFI 3.5.1.1).
EFI = {
    "x86_64-efi": "BOOTX64.EFI",
    "i386-efi": "BOOTIA32.EFI",
    "arm64-efi": "BOOTAA64.EFI",
    "arm-efi": "BOOTARM.EFI",
    "riscv64-efi": "BOOTRISCV64.EFI",
    "loongarch64-efi": "BOOTLOONGARCH64.EFI",
}
_FONT = "usr/share/grub/unicode.pf2"
_MODULES = (".mod", ".lst")


@dataclass(frozen=True, slots=True)
class Core:
    """An image of GRUB: its platform, and its file in `OUT`."""

    platform: str
    file: str


def cores(
    work: Imaging, config: str, modules: Sequence[str], platforms: Sequence[str] = (BIOS, *EFI)
) -> tuple[Core, ...]:
    """An image for each of the platforms that the tools support. Raises StepError.

    ``config`` is run first, and has to find the file system with the other modules; ``modules``
    are those that it needs for that.
    """
    (work.given / "load.cfg").write_text(config)
    made = tuple(_core(work, platform, modules) for platform in platforms if _has(work, platform))
    if not made:
        packages = "grub-efi-amd64-bin:amd64 or grub-efi-arm64-bin:arm64"
        raise work.failed(f"GRUB not found in the seed {work.image.tools}: add {packages}")
    return made


def _has(work: Imaging, platform: str) -> bool:
    return work.has(f"{PLATFORMS}/{platform}/moddep.lst")


def _core(work: Imaging, platform: str, modules: Sequence[str]) -> Core:
    file = f"grub-{platform}"
    word, own = (f"{BIOS}-eltorito", ("biosdisk",)) if platform == BIOS else (platform, ())
    work.run(
        "/usr/bin/grub-mkimage",
        f"--format={word}",
        f"--directory=/{PLATFORMS}/{platform}",
        "--prefix=/boot/grub",
        f"--config={GIVEN}/load.cfg",
        f"--output={OUT}/{file}",
        *own,
        *modules,
    )
    return Core(platform, file)


def modules_of(work: Imaging, core: Core) -> Iterator[tuple[str, str]]:
    """What belongs in ``grub/`` besides the menu: names there, with the files of the tools."""
    tree = Merged([work.tools.path])
    directory = tree.lookup(os.fsencode(f"{PLATFORMS}/{core.platform}"))
    for node in tree.children(directory) if directory else ():
        path = os.fsdecode(node.path)
        if path.endswith(_MODULES):
            yield f"{core.platform}/{path.rpartition('/')[2]}", f"/{path}"


def fonts_of(work: Imaging) -> Iterator[tuple[str, str]]:
    """The font for menus in graphics mode: its name in ``grub/``, with the file of the tools."""
    if work.has(_FONT):
        yield "fonts/unicode.pf2", f"/{_FONT}"
