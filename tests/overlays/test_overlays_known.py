"""The list of overlays: addresses by name, and what is no list."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloche.errors import ClocheError
from cloche.overlays.errors import OverlayError
from cloche.overlays.known import address_of, parse

LIST = """<?xml version="1.0"?><!DOCTYPE repositories SYSTEM "x.dtd">
<repositories version="1.0">
<repo><name>guru</name><owner><name>Somebody</name></owner>
<source type="git">git+ssh://git@h.invalid/guru.git</source>
<source type="git">https://h.invalid/guru.git</source><source type="rsync">rsync://h/</source>
</repo>
<repo><name>old</name><source type="rsync">rsync://h.invalid/old</source></repo>
<repo><name>shy</name><source type="git">git+ssh://git@h.invalid/shy.git</source></repo>
</repositories>"""
BOMB = (
    '<!DOCTYPE r [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]><repositories><repo><name>&b;</name>'
    "</repo></repositories>"
)


def test_each_overlay_has_its_best_address() -> None:
    assert parse(LIST, "x") == {
        "guru": "https://h.invalid/guru.git",
        "old": "",
        "shy": "ssh://git@h.invalid/shy.git",
    }


@pytest.mark.parametrize("text", ["", "no xml", "<repositories>", BOMB], ids=str)
def test_what_is_no_list_is_told(text: str) -> None:
    with pytest.raises(ClocheError, match="not a list of overlays"):
        parse(text, "x")


def test_a_name_that_is_not_there_is_told_with_the_nearest(tmp_path: Path) -> None:
    file = tmp_path / "list.xml"
    file.write_text(LIST)
    assert address_of("guru", str(file), tmp_path) == "https://h.invalid/guru.git"
    with pytest.raises(OverlayError, match="did you mean “guru”"):
        address_of("gru", str(file), tmp_path)
    with pytest.raises(OverlayError, match="not in git"):
        address_of("old", str(file), tmp_path)
