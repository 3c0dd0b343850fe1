"""A search of files finds what is packed in them."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.searching import holding

WORD = b"hunter2\x81"


def zstd(data: bytes) -> bytes:
    return subprocess.run(["zstd", "-q"], input=data, capture_output=True, check=True).stdout


def tarred(data: bytes) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for name, content in (("first", b"before"), ("own", data)):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return made.getvalue()


PACKED: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": gzip.compress,
    "xz": lzma.compress,
    "bzip2": bz2.compress,
    "zstd": zstd,
    "tar of gzip": lambda data: tarred(gzip.compress(data)),
    "binary package": lambda data: tarred(zstd(tarred(data))),
}


@pytest.mark.parametrize("how", PACKED)
def test_a_word_is_found_however_it_is_packed(how: str, tmp_path: Path) -> None:
    (tmp_path / "own").write_bytes(PACKED[how](b"a\0b\n" + WORD + b"\n" * 1000))
    (tmp_path / "other").write_bytes(PACKED[how](b"hunter3" * 1000))
    (tmp_path / "cut").write_bytes(PACKED[how](WORD * 1000)[:6])
    assert holding(tmp_path, (b"nowhere", WORD)) == [tmp_path / "own"]
