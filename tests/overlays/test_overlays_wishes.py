"""The list of what is wanted: its lines, and what is wrong with them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cloche.config.errors import ConfigError, Origin
from cloche.overlays.wishes import (
    Wanted,
    Wish,
    added,
    beside,
    by_overlay,
    contradicted,
    left,
    parse,
    read,
    removed,
    write,
)
from cloche.overlays.work import in_order

ORIGIN = Origin(Path("list"), 1)


def test_a_line_says_which_package_of_which_overlay_and_where_that_is() -> None:
    assert parse("app-misc/foo::guru", ORIGIN) == Wish("app-misc/foo", "guru")
    line = "app-misc/foo::mine https://h.invalid/m.git branch=b keyring=/k deps=guru,x"
    wish = parse(line, ORIGIN)
    assert wish == Wish("app-misc/foo", "mine", "https://h.invalid/m.git", "b", "/k", ("guru", "x"))
    assert parse(wish.line, ORIGIN) == wish
    assert parse("a/b::c /srv/c", ORIGIN).address == "file:///srv/c"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("app-misc/foo", "not a package of an overlay"),
        ("foo::guru", "not a package of an overlay"),
        ("app-misc/foo-1::guru", "not a package of an overlay"),
        ("app-misc/foo::../x", "not a package of an overlay"),
        ("a/b::c ext::sh", "not an address of git"),
        ("a/b::c --upload-pack=x", "not an address of git"),
        ("a/b::c https://u:secret@h.invalid\x1b/", "not an address of git"),
        ("a/b::c branch=-x", "not a branch"),
        ("a/b::c branch=a:b", "not a branch"),
        ("a/b::c deps=../x", "not the name of an overlay"),
        ("a/b::c https://u:secret@h.invalid/ https://u:secret@o.invalid/", "a second address"),
        ("a/b::c branch=a branch=b", "a second branch"),
        ("a/b::c brunch=a", "not an address of git"),
    ],
)
def test_what_is_wrong_is_told(line: str, words: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse(line, ORIGIN)
    assert words in error.value.what
    assert "secret" not in str(error.value)


def test_lists_are_a_file_or_all_files_of_a_directory(tmp_path: Path) -> None:
    assert read(tmp_path / "packages") == ()
    write(added(tmp_path / "packages", [Wish("a/b", "c")]))
    assert [each.pair for each in read(tmp_path / "packages")] == ["a/b::c"]
    place = tmp_path / "several"
    place.mkdir()
    (place / "mine").write_text("# mine\na/x::m\n")
    (place / "mine~").write_text("broken\n")
    write(added(place, [Wish("a/b", "c"), Wish("a/y", "mine")]))
    assert {each.pair for each in read(place)} == {"a/b::c", "a/x::m", "a/y::mine"}
    assert (place / "mine").read_text() == "# mine\na/x::m\na/y::mine\n"
    write(removed(place, ["a/x::m"]))
    assert (place / "mine").read_text() == "# mine\na/y::mine\n"


def test_what_a_line_that_goes_says_of_its_overlay_stays(tmp_path: Path) -> None:
    place = tmp_path / "packages"
    place.write_text("a/a::c /srv/c branch=b keyring=/k deps=x\na/o::d\na/b::c # mine\na/c::c\n")
    before = by_overlay(read(place))["c"]
    said = "file:///srv/c branch=b keyring=/k deps=x"
    write(removed(place, ["a/a::c"]))
    assert place.read_text() == f"a/o::d\na/b::c {said} # mine\na/c::c\n"
    assert by_overlay(read(place))["c"] == replace(before, packages=("a/b", "a/c"))
    assert left(read(place), ["a/c::c"]) == read(place)[:2]
    assert [each.line for each in left(read(place), ["a/b::c"])] == ["a/o::d", f"a/c::c {said}"]


def test_a_comment_may_follow_at_once(tmp_path: Path) -> None:
    place = tmp_path / "packages"
    place.write_text("a/a::c#mine\na/b::c\n")
    write(removed(place, ["a/a::c"]))
    assert place.read_text() == "a/b::c\n"


def test_options_for_what_is_listed_are_not_ignored() -> None:
    there = [Wish("a/b", "c"), Wish("a/x", "c", "https://h.invalid/", keyring="/k", deps=("x",))]
    same = Wish("a/b", "c", "https://h.invalid/", keyring="/k", deps=("x",))
    assert contradicted(there, same) is None
    assert contradicted(there, Wish("a/b", "c")) is None
    assert contradicted(there, replace(same, keyring="/other")) == "keyring"
    assert contradicted(there, replace(same, branch="b")) == "branch"
    assert contradicted(there, replace(same, address="https://o.invalid/")) == "address"
    assert contradicted(there, replace(same, deps=("y",))) == "deps"


def test_a_relative_keyring_is_beside_the_list(tmp_path: Path) -> None:
    assert beside(tmp_path / "packages", "k.asc") == tmp_path / "k.asc"
    assert beside(tmp_path, "k.asc") == tmp_path / "k.asc"  # of files in a directory
    assert beside(tmp_path, "/etc/k.asc") == Path("/etc/k.asc")


def test_overlays_come_after_those_that_depend_on_them() -> None:
    deps = {"a": ("c",), "b": ("a", "z"), "c": ("d",), "x": ("y",), "y": ("x",)}
    wanted = {name: Wanted(name, (), deps=each) for name, each in deps.items()}
    assert in_order(["a"], wanted) == ("a", "c", "d")
    found = in_order(["a", "b", "d"], wanted)
    assert sorted(found) == ["a", "b", "c", "d", "z"]
    assert all(
        found.index(name) < found.index(other) for name in found for other in deps.get(name, ())
    )
    assert sorted(in_order(["y"], wanted)) == ["x", "y"]  # in a circle


def test_lines_of_an_overlay_must_agree(tmp_path: Path) -> None:
    one = Wish("a/b", "c", "https://one.invalid/", deps=("x",))
    found = by_overlay([Wish("a/a", "c"), one, Wish("a/c", "c", deps=("y",))])["c"]
    assert found.packages == ("a/a", "a/b", "a/c")
    assert (found.address, found.deps) == ("https://one.invalid/", ("x", "y"))
    with pytest.raises(ConfigError, match="another line"):
        by_overlay([one, Wish("a/d", "c", "https://two.invalid/")])
