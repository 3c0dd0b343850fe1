"""Sizes of partitions and disks in a machine's file, in whole MiB and within limits."""

from __future__ import annotations

from cloche.config.errors import ConfigError
from cloche.config.table import Table, size

STEP = 1 << 20  # bytes: partitions begin and end at multiples of it
LARGEST = 8 << 40  # bytes of a partition; files on ext4 have at most 16 TiB
LARGEST_FAT = 1 << 40  # bytes: a FAT32 has less than 2 TiB, as its sectors are counted in 32 bits
_UNITS = ((1 << 40, "T"), (1 << 30, "G"), (1 << 20, "M"))


def whole_size(table: Table, key: str, what: str, least: int, most: int) -> int | None:
    """A size in bytes that is a multiple of a MiB; None without the key. Raises `ConfigError`.

    ``what`` is what it is the size of, with an article; ``least`` and ``most`` are whole MiB.
    """
    found = table.measure(key, _whole, 'a size such as "20G", in whole MiB')
    return _within(table, key, found, what, least, most)


def any_size(table: Table, key: str, what: str, least: int, most: int) -> int | None:
    """Like `whole_size`, but not in whole MiB."""
    found = table.measure(key, size, 'a size such as "512M"')
    return _within(table, key, found, what, least, most)


def _within(
    table: Table, key: str, found: int | None, what: str, least: int, most: int
) -> int | None:
    if found is None:
        return None
    if found < least:
        said = f"{what} of {found >> 20} MiB is too small"
        raise ConfigError(table.origin(key), said, f'write "{written(least)}" or more')
    if found > most:
        said = f"{what} of {written(found)} is too large"
        raise ConfigError(table.origin(key), said, f'write "{written(most)}" or less')
    return found


def written(size: int) -> str:
    """A size as it is written in a machine's file."""
    unit, letter = next(each for each in _UNITS if size % each[0] == 0 or each[1] == "M")
    return f"{size // unit}{letter}"


def _whole(text: str) -> int:
    """Bytes of a size that is a multiple of a MiB. Raises ValueError."""
    found = size(text)
    if found % STEP:
        raise ValueError(text)
    return found
