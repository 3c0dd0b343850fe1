"""Single assignments are changed; all other lines stay."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloche.config.errors import ConfigError
from cloche.config.makeconf import Assignment, parse
from cloche.importing.make_conf import Comment, changed, without_sources

FILE = Path("make.conf")


def without_b(each: Assignment) -> str:
    return Comment("B is gone") if each.name == "B" else each.value


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("# kept\nA=1\nB=2  # also\nC=3\n", "# kept\nA=1\n# B is gone\nC=3\n"),
        ('A="1\n  2"\nB="3\n4\n5" # c\n\n# end\n', 'A="1\n  2"\n# B is gone\n\n# end\n'),
        ('B="a \\\n b"\nA=1', "# B is gone\nA=1"),
        ("export B='x\"y'\nA=1\n", "# B is gone\nA=1\n"),
        ("A=1 B=2 C=3\n", 'A="1"\n# B is gone\nC="3"\n'),  # lines that cannot be told apart
        ("A='\"'\nB\n=\n2\n", "A='\"'\n# B is gone\n"),
    ],
)
def test_an_assignment_goes_with_all_of_its_lines(text: str, wanted: str) -> None:
    assert changed(text, FILE, without_b) == wanted


def test_a_new_value_reads_as_it_was_meant() -> None:
    text = "A=1\nB='${A} \"x\" \\$'\n"
    found = changed(text, FILE, lambda each: f"{each.value} z" if each.name == "B" else each.value)
    assert found.startswith("A=1\n")
    assert [each.value for each in parse(found, FILE)] == ["1", '${A} "x" \\$ z']


def test_a_value_that_no_quotes_can_hold_is_refused() -> None:
    with pytest.raises(ConfigError, match="cannot be changed"):
        changed("A='\"'\"'\"\n", FILE, lambda each: f"{each.value}x")


def test_source_lines_are_taken_out_and_named() -> None:
    text = 'A=1\nsource /etc/portage/more.conf # this\n  source "b"\nC="\nsource no"\n'
    found, taken = without_sources(text, FILE)
    assert taken == ((2, "/etc/portage/more.conf"), (3, "b"))
    assert [(each.name, each.value) for each in parse(found, FILE)] == [
        ("A", "1"),
        ("C", "\nsource no"),
    ]


@pytest.mark.parametrize("text", ['A="', "A=1\nsource\n", "source a b\n", "A 1\n"])
def test_a_make_conf_that_portage_cannot_read_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        without_sources(text, FILE)
