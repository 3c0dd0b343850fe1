"""Writes a picture of a screen as PNG, from the format in which every QEMU writes it (PPM)."""

from __future__ import annotations

import re
import struct
import zlib

from cloche.booting.errors import BootError
from cloche.errors import Exit

_PPM = re.compile(rb"P6\s+(\d{1,5})\s+(\d{1,5})\s+255\s", re.ASCII)
_DEPTH, _COLOURS, _PALETTE = 8, 2, 3  # bits; colour types (PNG specification, 11.2.2)


def png(ppm: bytes) -> bytes:
    """The picture as PNG, with a palette if it has few colours. Raises `BootError`."""
    head = _PPM.match(ppm)
    width, height = (int(head[1]), int(head[2])) if head else (0, 0)
    pixels = ppm[head.end() :] if head else b""
    if not width or not height or len(pixels) != 3 * width * height:
        raise BootError("QEMU wrote no picture of the screen", status=Exit.FAILED)
    colours = sorted({pixels[at : at + 3] for at in range(0, len(pixels), 3)})
    few = len(colours) <= 256
    if few:
        numbers = {colour: number for number, colour in enumerate(colours)}
        data = bytes(numbers[pixels[at : at + 3]] for at in range(0, len(pixels), 3))
    else:
        data = pixels
    row = len(data) // height
    rows = b"".join(b"\0" + data[at : at + row] for at in range(0, len(data), row))
    form = struct.pack(">IIBBBBB", width, height, _DEPTH, _PALETTE if few else _COLOURS, 0, 0, 0)
    palette = _chunk(b"PLTE", b"".join(colours)) if few else b""
    image = _chunk(b"IDAT", zlib.compress(rows, 9))
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", form) + palette + image + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    check = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)
