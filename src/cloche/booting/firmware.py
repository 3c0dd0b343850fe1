"""Finds the firmware of virtual machines: QEMU's own list of it, and the places of distributions.

SeaBIOS is part of QEMU. The list is a directory of JSON files, docs/interop/firmware.json of QEMU.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cloche.booting.errors import missing_program

LISTS = (Path("/etc/qemu/firmware"), Path("/usr/share/qemu/firmware"))
#: Code and variables: Debian, Gentoo, Fedora, Arch, openSUSE.
PLACES = (
    ("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"),
    ("/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"),
    ("/usr/share/edk2/OvmfX64/OVMF_CODE.fd", "/usr/share/edk2/OvmfX64/OVMF_VARS.fd"),
    ("/usr/share/edk2-ovmf/OVMF_CODE.fd", "/usr/share/edk2-ovmf/OVMF_VARS.fd"),
    ("/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd"),
    ("/usr/share/edk2/x64/OVMF_CODE.4m.fd", "/usr/share/edk2/x64/OVMF_VARS.4m.fd"),
    ("/usr/share/qemu/ovmf-x86_64-code.bin", "/usr/share/qemu/ovmf-x86_64-vars.bin"),
)
PACKAGES = "ovmf (Debian), sys-firmware/edk2-bin (Gentoo) or edk2-ovmf (Fedora, Arch)"
#: What boots only signed programs is not what is looked for.
_UNWANTED = {"secure-boot", "enrolled-keys", "requires-smm", "amd-sev", "amd-sev-es", "intel-tdx"}


@dataclass(frozen=True, slots=True)
class Firmware:
    """UEFI for virtual machines: its code, and the variables that a new machine begins with."""

    code: Path
    variables: Path


def uefi(lists: Sequence[Path] = LISTS, places: Sequence[tuple[str, str]] = PLACES) -> Firmware:
    """UEFI that starts unsigned programs. Raises `BootError` where there is none."""
    there = (Firmware(Path(code), Path(variables)) for code, variables in places)
    for each in (*_listed(lists), *there):
        if each.code.is_file() and each.variables.is_file():
            return each
    raise missing_program("UEFI for virtual machines (OVMF)", f"{PACKAGES}, or use --firmware bios")


def _listed(lists: Sequence[Path]) -> Iterator[Firmware]:
    for directory in lists:
        for file in sorted(directory.glob("*.json")):
            try:
                found = _described(json.loads(file.read_bytes()))
            except (OSError, ValueError, LookupError, TypeError, AttributeError):
                continue  # one that QEMU would not read either
            if found is not None:
                yield found


def _described(data: dict[str, object]) -> Firmware | None:
    """What a file of the list describes, if it is for these machines."""
    plain = json.loads(json.dumps(data))
    if "uefi" not in plain["interface-types"] or _UNWANTED & set(plain["features"]):
        return None
    if not any(each["architecture"] == "x86_64" for each in plain["targets"]):
        return None
    flash = plain["mapping"]
    if flash["device"] != "flash" or flash.get("mode", "split") != "split":
        return None
    parts = flash["executable"], flash["nvram-template"]
    if any(part["format"] != "raw" for part in parts):
        return None
    return Firmware(*(Path(part["filename"]) for part in parts))
