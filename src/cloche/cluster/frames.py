"""A stream in pieces, compressed, which can be taken up again at any byte."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PIECE = 1 << 20  # bytes before compression
LEVEL = 1  # docs/cluster.md has the measurements
_LONGEST = 4 * PIECE  # bytes that a piece may have when it is unpacked


def pieces(chunks: Iterator[bytes], start: int) -> Iterator[bytes]:
    """Chunks joined to pieces of some `PIECE` bytes, without the first ``start`` bytes."""
    waiting, length = list[bytes](), 0
    for chunk in chunks:
        if start:
            left = chunk[start:]
            start -= len(chunk) - len(left)
            chunk = left
        waiting.append(chunk)
        length += len(chunk)
        if length >= PIECE:
            yield b"".join(waiting)
            waiting, length = [], 0
    if length:
        yield b"".join(waiting)


def compressed(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Each piece compressed such that it can be unpacked with those before it alone."""
    compressor = zstd.ZstdCompressor(level=LEVEL)
    for piece in pieces:
        yield compressor.compress(piece, mode=zstd.ZstdCompressor.FLUSH_BLOCK)


def unpacker(is_compressed: bool) -> Callable[[bytes], bytes]:
    """What unpacks the pieces of one sender, in their order.

    It raises ValueError for what no sender sends.
    """
    if not is_compressed:
        return lambda piece: piece
    decompressor = zstd.ZstdDecompressor()

    def unpack(piece: bytes) -> bytes:
        try:
            data = decompressor.decompress(piece, _LONGEST)
            if decompressor.eof:  # a sender never ends its frame
                raise ValueError("the frame ended")
            if not decompressor.needs_input and decompressor.decompress(b"", 1):
                raise ValueError("a piece is too large")
        except (zstd.ZstdError, EOFError) as error:
            raise ValueError(str(error)) from error
        return data

    return unpack
