"""A program that does nothing, to try an engine with on any host.

An ELF file (elf(5)) of one segment that holds its own header and exit(0).
"""

from __future__ import annotations

import os
import struct
from pathlib import Path

_BASE = 0x400000
_HEADERS = 64 + 56
# e_machine, and instructions that call exit(0).
_MACHINES = {
    "x86_64": (0x3E, bytes.fromhex("b83c000000 31ff 0f05")),
    "aarch64": (0xB7, bytes.fromhex("000080d2 a80b80d2 010000d4")),
}


def write(path: Path) -> bool:
    """Write the program for this architecture; False if there is none. Raises OSError."""
    machine = os.uname().machine
    if machine not in _MACHINES:
        return False
    number, code = _MACHINES[machine]
    size = _HEADERS + len(code)
    ident = b"\x7fELF\x02\x01\x01" + bytes(9)  # 64 bits, least significant byte first
    header = struct.pack(
        "<HHIQQQIHHHHHH", 2, number, 1, _BASE + _HEADERS, 64, 0, 0, 64, 56, 1, 0, 0, 0
    )
    load = struct.pack("<IIQQQQQQ", 1, 5, 0, _BASE, _BASE, size, size, 0x1000)
    path.write_bytes(ident + header + load + code)
    path.chmod(0o755)
    return True
