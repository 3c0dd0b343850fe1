"""Messages as Portage collects them."""

from __future__ import annotations

from cloche.guest.elog import joined, without_collisions_of_the_seed

NOBODYS = [
    "This package will overwrite one or more files that may belong to other",
    "packages (see list below). …",
    "",
    "Detected file collision(s):",
    "\t/usr/bin/xz",
    "None of the installed packages claim the file(s).",
    "",
    "Package 'app-arch/xz-utils-5' merged despite file collisions. If",
    "necessary, refer to your elog messages for the whole content of the above",
    "message.",
]


def test_messages_of_one_level_are_one() -> None:
    said = [("ERROR", "one"), ("ERROR", ["two", "three"]), ("WARN", "four")]
    assert list(joined(said)) == [("ERROR", ["one", "two", "three"]), ("WARN", ["four"])]


def test_of_collisions_only_those_with_an_owner_are_told() -> None:
    assert without_collisions_of_the_seed(["before", *NOBODYS, "after"]) == ["before", "after"]
    assert without_collisions_of_the_seed(NOBODYS) == []
    owned = [line for line in NOBODYS if not line.startswith("None of")]
    assert without_collisions_of_the_seed(owned) == owned
    assert without_collisions_of_the_seed(NOBODYS[:-1]) == NOBODYS[:-1]
    assert without_collisions_of_the_seed(["a message."]) == ["a message."]
