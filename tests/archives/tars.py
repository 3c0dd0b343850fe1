"""Tarballs written by hand, byte by byte, as no honest program would write them."""

from __future__ import annotations

from pathlib import Path

END = bytes(1024)


def member(
    name: bytes,
    flag: bytes = b"0",
    content: bytes = b"",
    *,
    target: bytes = b"",
    size: int | None = None,
    mode: bytes = b"0000644",
    uid: int = 0,
    device: tuple[int, int] = (0, 0),
    magic: bytes = b"ustar\00000",
    tail: bytes = b"",
) -> bytes:
    """One member: its header block and its content, padded."""
    numbers = mode, b"%07o" % uid, b"0000000", b"%011o" % (len(content) if size is None else size)
    header = name.ljust(100, b"\0") + b"".join(number + b"\0" for number in numbers)
    header += b"14700000000\0" + b" " * 8 + flag + target.ljust(100, b"\0")
    header += magic + bytes(64) + b"".join(b"%07o\0" % number for number in device) + tail
    header = header.ljust(512, b"\0")
    assert len(header) == 512
    header = header[:148] + b"%06o\0 " % sum(header) + header[156:]
    return header + content + bytes(-len(content) % 512)


def pax(records: dict[bytes, bytes] | list[tuple[bytes, bytes]], flag: bytes = b"x") -> bytes:
    """A pax header about the next member."""
    pairs = list(records.items()) if isinstance(records, dict) else records
    return member(b"pax", flag, b"".join(record(*pair) for pair in pairs))


def record(key: bytes, value: bytes) -> bytes:
    """``LENGTH KEY=VALUE``, where the length counts itself."""
    rest = b" " + key + b"=" + value + b"\n"
    length = len(rest) + len(str(len(rest)))
    length = len(rest) + len(str(length))
    return str(length).encode() + rest


def archive(path: Path, *members: bytes) -> Path:
    """Write an archive of members."""
    path.write_bytes(b"".join(members) + END)
    return path
