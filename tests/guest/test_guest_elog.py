"""Messages as Portage collects them."""

from __future__ import annotations

from cloche.guest.elog import joined


def test_messages_of_one_level_are_one() -> None:
    said = [("ERROR", "one"), ("ERROR", ["two", "three"]), ("WARN", "four")]
    assert list(joined(said)) == [("ERROR", ["one", "two", "three"]), ("WARN", ["four"])]
