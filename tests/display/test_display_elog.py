"""Messages of ebuilds, as emerge shows them."""

from __future__ import annotations

from cloche.display.elog import drawn
from cloche.display.theme import make_theme
from cloche.records.elog import Message

PLAIN = make_theme(colour=False)


def test_they_are_drawn_as_emerge_does_each_once() -> None:
    warn = Message("setup", "warn", ("care\x1b[2J",))
    died = Message("compile", "error", ("mine", "ERROR: a/b-1::r failed (compile phase):", "more"))
    said = [("a/b-1::r", warn), ("a/a-1::r", warn), ("a/b-1::r", warn), ("a/b-1::r", died)]
    assert list(drawn(said, PLAIN)) == [
        "", " * Messages for package a/a-1:", "", " * care\\x1b[2J",
        "", " * Messages for package a/b-1:", "", " * care\\x1b[2J", " * mine",
    ]  # fmt: skip
    both = [("a/a-1::r@broot", warn), ("a/a-1::r", warn)]  # a root of its own, and over the seed
    names = [line for line in drawn(both, PLAIN) if "Messages" in line]
    assert names == [" * Messages for package a/a-1:", " * Messages for package a/a-1@broot:"]
    assert list(drawn([("a/b-1::r", Message("install", "qa", ("bad",)))], PLAIN)) == []
