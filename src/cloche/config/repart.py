"""Definitions of a disk's partitions (repart.d(5)), as a directory of the project has them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from cloche.config.errors import ConfigError
from cloche.config.files import read_bytes
from cloche.config.sizes import LARGEST, written
from cloche.config.table import Table

Definitions = Mapping[str, Mapping[str, str]]
"""The lines of each file; of a key that is there twice, the last one."""

_LINE = re.compile(r"^([A-Za-z]+)\s*=\s*(.*?)\s*$", re.MULTILINE)
_ESP = ("esp", "c12a7328-f81f-11d2-ba4b-00a0c93ec93b")
_LEAST = ("SizeMinBytes", "PaddingMinBytes")  # lower bounds of a disk's size
_SIZE = re.compile(r"(\d+)([KMGTPE]?)")
_UNITS = ("", "K", "M", "G", "T", "P", "E")  # powers of 1024
_OFF = ("", "off", "no", "false", "0")


def definitions(directory: Path) -> Iterator[Path]:
    """The files of a directory that systemd-repart reads."""
    return (file for file in sorted(directory.iterdir()) if file.suffix == ".conf")


def defined(directory: Path | None) -> Definitions:
    """The definitions in a directory. Raises `ConfigError` unless all are files inside it."""
    files = definitions(directory) if directory else ()
    return {
        file.name: dict(_LINE.findall(read_bytes(file, file.parent).decode(errors="replace")))
        for file in files
    }


def check_definitions(directory: Path, table: Table, others: tuple[str, ...], boots: bool) -> None:
    """Check that a directory has definitions, and that no other key says the same.

    Raises `ConfigError`, also for what would need a secret, or differ each time.
    """
    found, origin = defined(directory), table.origin("repart")
    where = table.get("repart", str, "")
    if not found:
        what = f"no definition of a partition in {where}"
        raise ConfigError(origin, what, "add NAME.conf, see repart.d(5)")
    for key in others:
        if key in table.data:
            what = f"“{key}” and `repart` both say what partitions there are"
            raise ConfigError(table.origin(key), what, "keep one of them")
    for name, lines in found.items():
        if (why := _refused(lines)) is not None:
            raise ConfigError(origin, f"{where}/{name}: {why[0]}", why[1])
    if boots and not any(lines.get("Type", "").lower() in _ESP for lines in found.values()):
        what = f"the image is to boot, and {where} defines no EFI system partition"
        todo = "add a file with Type=esp, Format=vfat, CopyFiles=/boot:/ and CopyFiles=/efi:/"
        raise ConfigError(origin, what, todo)


def _refused(lines: Mapping[str, str]) -> tuple[str, str] | None:
    """Why a partition cannot be made, and what to do."""
    if lines.get("Encrypt", "").lower() not in _OFF:
        what = "Encrypt needs a key, which would be in the store: images cannot have secrets"
        return what, "let systemd-repart encrypt the disk on its first boot"
    if lines.get("Verity", "").lower() == "signature":
        return "Verity=signature needs a private key, a secret", "use Verity=hash alone"
    if lines.get("Format") in ("xfs", "btrfs"):
        what = f"systemd-repart makes another {lines['Format']} each time"
        return what, 'use ext4, erofs or squashfs, or an image of format "qcow2"'
    for key in _LEAST:
        if (bytes_of(lines, key) or 0) > LARGEST:
            return f"{key}={lines[key]} is too large", f"write {written(LARGEST)} or less"
    return None


def bytes_of(lines: Mapping[str, str], key: str) -> int | None:
    """The size that a line of a definition gives, in bytes; None without such a line."""
    size = _SIZE.fullmatch(lines.get(key, ""))
    return int(size[1]) << 10 * _UNITS.index(size[2]) if size else None
