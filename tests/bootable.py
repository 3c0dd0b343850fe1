"""Looks into images for what firmware boots from them."""

from __future__ import annotations

import io
import os
import struct
import subprocess
from pathlib import Path

from pycdlib import PyCdlib


def extracted(image: Path, sector: int, name: str) -> bytes:
    """A file of a FAT that begins at a sector of an image."""
    words = ["mcopy", "-n", "-i", f"{image}@@{sector * 512}", f"::/{name}", "-"]
    return subprocess.run(words, check=True, capture_output=True).stdout


def on_medium(medium: Path, name: str) -> bytes:
    """A file of a medium, by its own name (Rock Ridge)."""
    iso, content = PyCdlib(), io.BytesIO()
    iso.open(str(medium))
    iso.get_file_from_iso_fp(content, rr_path=name)
    iso.close()
    return content.getvalue()


def names_on(medium: Path, directory: str) -> set[str]:
    """The names in a directory of a medium (Rock Ridge)."""
    iso = PyCdlib()
    iso.open(str(medium))
    children = [each for each in iso.list_children(rr_path=directory) if not each.is_dot()]
    found = {os.fsdecode(each.rock_ridge.name()) for each in children if not each.is_dotdot()}
    iso.close()
    return found


def machine_of(program: bytes) -> int:
    """The machine type of an EFI program (PE format)."""
    (header,) = struct.unpack_from("<I", program, 0x3C)
    assert program[header : header + 4] == b"PE\0\0"
    return int(struct.unpack_from("<H", program, header + 4)[0])


def boot_catalog(medium: Path) -> dict[int, int]:
    """The images that a CD is booted from (El Torito 1.0): their first sectors by platform."""
    with medium.open("rb") as file:
        file.seek(17 * 2048)
        record = file.read(2048)
        assert record[7:30] == b"EL TORITO SPECIFICATION"
        file.seek(struct.unpack_from("<I", record, 71)[0] * 2048)
        catalog = file.read(2048)
    entries = {catalog[1]: struct.unpack_from("<I", catalog, 40)[0]}
    place = 64
    while catalog[place] in (0x90, 0x91):  # a section, and its single image
        entries[catalog[place + 1]] = struct.unpack_from("<I", catalog, place + 40)[0]
        place += 64
    return entries
