"""Where paths lead through the links of a root."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.values import layer

from cloche.composing.places import Found, Place, Places, look_into


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """Two layers; the upper one's links lead into the lower one."""
    lower, upper = tmp_path / "lower", tmp_path / "upper"
    (lower / "usr/lib/deep").mkdir(parents=True)
    (lower / "usr/lib/file").touch()
    (upper / "opt").mkdir(parents=True)
    for name, target in {
        "lib": "usr/lib",
        "opt/absolute": "/lib/deep",
        "opt/chain": "../opt/absolute/..",
        "opt/dangling": "nowhere/else",
        "opt/loop": "loop",
        "opt/to-file": "/lib/file",
        "opt/above": "../../../usr",
    }.items():
        (upper / name).symlink_to(target)
    layers = [layer(each) for each in (lower, upper)]
    return Places(look_into(layers))


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("usr/lib/file", Place("usr/lib/file")),
        ("lib", Place("lib")),
        ("lib/file", Place("usr/lib/file")),
        ("opt/absolute/new", Place("usr/lib/deep/new")),
        ("opt/chain/file", Place("usr/lib/file")),
        ("opt/above/lib/file", Place("usr/lib/file")),
        ("opt/dangling/x", Place(None)),
        ("nothing/x/y", Place(None)),
        ("opt/loop/x", Place(None, "opt/loop")),
        ("opt/to-file/x/y", Place(None, "opt/to-file")),
        ("lib/file/x", Place(None, "lib/file")),
    ],
)
def test_a_path_leads_where_the_kernel_goes(places: Places, path: str, place: Place) -> None:
    assert places.place(path) == place


def test_it_is_known_what_the_way_depends_on(places: Places) -> None:
    places.directory("opt/chain")
    places.directory("opt/dangling")
    assert places.hinges >= {"opt/chain", "opt/absolute", "lib", "opt/dangling", "opt/nowhere"}
    assert places.passed == {"opt", "usr", "usr/lib", "usr/lib/deep"}


def test_links_to_links_end(tmp_path: Path) -> None:
    """Forty links in all, not forty of each: or else this would take for ever."""
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "l0").symlink_to(".")
    for number in range(1, 60):
        (tree / f"l{number}").symlink_to(f"l{number - 1}/l{number - 1}")
    places = Places(look_into([layer(tree)]))
    assert places.place("l59/x") == Place(None, "l59")


def test_what_is_at_a_path_is_found_through_links(places: Places) -> None:
    assert places.find("opt/to-file") == Found("link", "/lib/file")
    assert places.find("lib/file") == Found("other")
    assert places.find("opt/absolute/none") is None
    assert places.find("opt/dangling/none") is None
