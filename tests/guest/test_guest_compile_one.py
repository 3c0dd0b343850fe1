"""The words of a compile for another host: its files lie elsewhere, all else stays."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from cloche.guest import compile_one as guest

ROOM = Path("/room")


def test_only_the_places_of_source_and_object_change() -> None:
    words = ["gcc", "-O2", "-c", "../src/a.b.cc", "-fPIC", "-o", "x.c", "-DX=y.c"]
    command, source, output = guest.command_of(words, ROOM)
    assert command == ["gcc", "-O2", "-c", str(source), "-fPIC", "-o", str(output), "-DX=y.c"]
    assert source == ROOM / "source.ii"
    assert output == ROOM / "object.o"


@pytest.mark.parametrize(
    "words", [["gcc", "-c", "a.c"], ["gcc", "-o", "a.o"], ["gcc", "a.c", "b.c", "-o", "x"], ["gcc"],
              ["a.c", "-o", "x"]],
)  # fmt: skip
def test_words_without_one_source_and_an_object_are_refused(words: list[str]) -> None:
    with pytest.raises(guest.WrongRequestError):
        guest.command_of(words, ROOM)


@pytest.mark.parametrize(
    "data", [b"", b"DIST", b"DIST0000000g", b"ARGC00000001", b"DIST-0000001x", b"DIST00000003ab"]
)
def test_content_that_is_cut_off_is_refused(data: bytes) -> None:
    with pytest.raises(guest.WrongRequestError):
        guest.content(io.BytesIO(data), b"DIST", 99)
    assert guest.content(io.BytesIO(b"DIST00000002ab"), b"DIST", 2) == b"ab"
    with pytest.raises(guest.WrongRequestError):
        guest.content(io.BytesIO(b"DIST00000003abc"), b"DIST", 2)
