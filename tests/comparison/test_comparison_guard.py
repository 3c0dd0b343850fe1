"""Exceptions of a library for a bad image become one error; cloche's own errors pass unchanged."""

from __future__ import annotations

import io
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloche.comparison.guard import Metered, each, guarded, limited_memory, reading
from cloche.errors import ClocheError


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        (MemoryError(), "takes too much memory"),
        (RecursionError(), "contains a loop"),
        (KeyError("a\nb"), r"KeyError: 'a\\nb'"),
        (EOFError(), "EOFError"),
        (OSError("no number"), "OSError: no number"),
    ],
)
def test_anything_becomes_one_error(raised: Exception, said: str) -> None:
    with pytest.raises(ClocheError, match=said) as caught, guarded("a.iso"):
        raise raised
    assert str(caught.value).startswith("a.iso: corrupt or truncated image: ")
    assert caught.value.status == 2
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("raised", [ClocheError("known"), FileNotFoundError(2, "gone")])
def test_known_errors_pass_unchanged(raised: Exception) -> None:
    with pytest.raises(type(raised)) as caught, guarded("a.iso"):
        raise raised
    assert caught.value is raised


def test_the_code_that_uses_an_iterator_is_not_guarded() -> None:
    def names() -> Iterator[int]:
        yield 1
        raise ValueError("bad")

    found = each("a.iso", names())
    with pytest.raises(ZeroDivisionError):
        sum(1 // (value - 1) for value in found)
    with pytest.raises(ClocheError, match="ValueError: bad"):
        list(each("a.iso", names()))
    assert list(each("a.iso", iter([1, 2]))) == [1, 2]


def test_reading_is_guarded() -> None:
    def read(_: int) -> bytes:
        raise EOFError("early")

    with pytest.raises(ClocheError, match="early"):
        reading("a.iso", read)(1)


def test_an_image_cannot_be_read_again_and_again(tmp_path: Path) -> None:
    image = Metered(io.BytesIO(b"x" * 1000), tmp_path)
    for size in (100, 0):  # a loop may read no bytes at all
        image._left = 5000  # otherwise at least a gigabyte
        with pytest.raises(ClocheError, match="again and again"):
            _loop(image, size)
    with pytest.raises(ClocheError, match=f"byte {1 << 70}"):
        image.seek(1 << 70)


def _loop(image: Metered, size: int) -> None:
    while True:
        image.seek(0)
        image.read(size)


def test_memory_is_limited_for_a_block_only() -> None:
    before = resource.getrlimit(resource.RLIMIT_AS)
    with limited_memory(64 << 30):
        inside = resource.getrlimit(resource.RLIMIT_AS)[0]
        assert inside == (
            64 << 30 if before[0] == resource.RLIM_INFINITY else min(64 << 30, before[0])
        )
    assert resource.getrlimit(resource.RLIMIT_AS) == before
    with (
        pytest.raises(ClocheError, match="too much memory"),
        limited_memory(8 << 30),
        guarded("a.iso"),
    ):
        bytearray(16 << 30)
