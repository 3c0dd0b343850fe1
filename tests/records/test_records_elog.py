"""Messages of ebuilds on their way out of a sandbox."""

from __future__ import annotations

from cloche.records.elog import Message, as_data, messages_of

SAID = {"phase": "install", "level": "warn", "lines": ["one", "two"]}


def test_what_an_ebuild_writes_as_an_answer_is_checked_and_cut() -> None:
    assert messages_of({"elog": [SAID]}) == (Message("install", "warn", ("one", "two")),)
    assert messages_of({}) == messages_of({"elog": "x"}) == messages_of({"elog": [{}]}) == ()
    assert messages_of({"elog": [{**SAID, "level": "evil"}]}) == ()
    long = {**SAID, "lines": ["x" * 1000] * 40}
    assert len(messages_of({"elog": [long] * 5})) == 1
    assert messages_of(as_data(messages_of({"elog": [SAID]}))) == messages_of({"elog": [SAID]})
