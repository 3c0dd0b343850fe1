"""Messages of ebuilds on their way out of a sandbox."""

from __future__ import annotations

from cloche.display.elog import drawn
from cloche.display.theme import make_theme
from cloche.records.elog import Message, as_data, messages_of

SAID = {"phase": "install", "level": "warn", "lines": ["one", "two"]}
PLAIN = make_theme(colour=False)


def test_what_an_ebuild_writes_as_an_answer_is_checked_and_cut() -> None:
    assert messages_of({"elog": [SAID]}) == (Message("install", "warn", ("one", "two")),)
    assert messages_of({}) == messages_of({"elog": "x"}) == messages_of({"elog": [{}]}) == ()
    assert messages_of({"elog": [{**SAID, "level": "evil"}]}) == ()
    long = {**SAID, "lines": ["x" * 1000] * 40}
    assert len(messages_of({"elog": [long] * 5})) == 1
    assert messages_of(as_data(messages_of({"elog": [SAID]}))) == messages_of({"elog": [SAID]})


def test_they_are_drawn_as_emerge_does_each_once() -> None:
    warn = Message("setup", "warn", ("care\x1b[2J",))
    died = Message("compile", "error", ("mine", "ERROR: a/b-1::r failed (compile phase):", "more"))
    said = [("a/b-1::r", warn), ("a/a-1::r", warn), ("a/b-1::r", warn), ("a/b-1::r", died)]
    assert list(drawn(said, PLAIN)) == [
        "", " * Messages for package a/a-1:", "", " * care\\x1b[2J",
        "", " * Messages for package a/b-1:", "", " * care\\x1b[2J", " * mine",
    ]  # fmt: skip
    assert list(drawn([("a/b-1::r", Message("install", "qa", ("bad",)))], PLAIN)) == []
