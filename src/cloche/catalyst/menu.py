"""The boot menu of a live medium, in catalyst's order and with its kernel options."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

THEME = "boot/grub/themes/gentoo_frosted/theme.txt"  # what catalyst's cdtar for GRUB brings
_MEMTEST = (
    ("pc", "memtest64.bios", "Memtest86+ 64bit BIOS", "linux"),
    ("efi", "memtest.efi64", "Memtest86+ 64bit UEFI", "chainloader"),
    ("", "memtest32.bios", "Memtest86+ 32bit BIOS", "linux"),
)


@dataclass(frozen=True, slots=True)
class Choice:
    """A kernel on the medium: boot/LABEL and boot/LABEL.igz.

    With ``dracut`` its initramfs is dracut's, which looks for the medium by its volume ID;
    otherwise genkernel's, which looks for a file. ``consoles`` get a line each.
    """

    label: str
    dracut: bool
    consoles: tuple[str, ...] = ()


def menu(choices: Sequence[Choice], volid: str, bootargs: str) -> str:
    """The text of grub.cfg."""
    lines = [
        "set default=0",
        "set gfxpayload=keep",
        "set timeout=10",
        # gzio: kernels for ARM and RISC-V are compressed, and only GRUB unpacks them.
        *(f"insmod {module}" for module in ("all_video", "png", "gfxterm", "gzio")),
        "terminal_output gfxterm",
        "set gfxmode=auto",
        f"if [ -e /{THEME} ]; then set theme=/{THEME}; fi",
        "",
    ]
    for choice in choices:
        lines += _kernel(choice, volid, bootargs)
    for platform, file, title, command in _MEMTEST:
        there = f"-e /{file}" + (f' -a "$grub_platform" = {platform}' if platform else "")
        lines += [f"if [ {there} ]; then", *_entry(title, [f"{command} /{file}"]), "fi"]
    return "\n".join([*lines, ""])


def _kernel(choice: Choice, volid: str, bootargs: str) -> Iterator[str]:
    """The lines of one kernel."""
    where = ["looptype=squashfs", "loop=/image.squashfs"]
    if choice.dracut:
        where = [f"root=live:CDLABEL={volid}", "rd.live.dir=/", "rd.live.squashimg=image.squashfs"]
    given = [*bootargs.split(), *where, "cdroot"]
    find = [f"search --no-floppy --set=root -l {quoted(volid)}"] if choice.dracut else []

    def entry(more: str, option: str) -> list[str]:
        words = " ".join(map(quoted, [*given, *([option] if option else [])]))
        boot = [f"linux /boot/{choice.label} {words}", f"initrd /boot/{choice.label}.igz"]
        title = f"Boot LiveCD (kernel: {choice.label}{more}"
        return _entry(title, [*find, *boot])

    yield from entry(")", "")
    yield from entry(") (cached)", "rd.live.ram=1" if choice.dracut else "docache")
    yield from entry(") (accessibility)", "dospeakup")
    if choice.consoles:
        title = quoted(f"Special console options (kernel: {choice.label})")
        yield f"submenu {title} --class gnu-linux --class os {{"
        for console in choice.consoles:
            yield from (f"\t{line}" for line in entry(f" console={console})", f"console={console}"))
        yield "}"
    yield ""


def _entry(title: str, commands: Sequence[str]) -> list[str]:
    begin = f"menuentry {quoted(title)} --class gnu-linux --class os {{"
    return [begin, *(f"\t{command}" for command in commands), "}"]


def quoted(word: str) -> str:
    """A word as GRUB reads it: in single quotation marks, unless it is plain."""
    plain = word and all(each.isalnum() or each in "_.,:=/+@%-" for each in word)
    return word if plain else "'" + word.replace("'", "'\\''") + "'"
