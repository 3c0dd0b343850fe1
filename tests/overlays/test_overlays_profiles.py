"""Which lines of a repository's data concern a few packages."""

from __future__ import annotations

import pytest

from cloche.overlays.profiles import Used, concerning, is_wanted, layout, updates

USED = Used({"a/one"}, {"flag", "leaf_red"}, {"mine"}, {"wood"})


@pytest.mark.parametrize(
    ("path", "text", "left"),
    [
        ("package.mask", "# why\n# it is\na/one\n\n# not\na/two\n", "# why\n# it is\na/one\n"),
        ("package.mask", "# both\na/two\n>=a/one-2\n", "# both\n>=a/one-2\n"),
        ("package.mask", "a/two\n# of one\na/one\n", "# of one\na/one\n"),
        ("package.mask", "a/one-more\n", None),
        ("package.mask/2026", "-a/one\n", "-a/one\n"),
        ("package.use.mask", "a/one x\na/two flag\n", "a/one x\n"),
        ("use.mask", "other\n-flag\n", "-flag\n"),
        ("use.desc", "flag - What it does\nother - Not\n", "flag - What it does\n"),
        ("use.local.desc", "a/one:x - X\na/two:x - X\n", "a/one:x - X\n"),
        ("desc/leaf.desc", "red - Red\nblue - Blue\n", "red - Red\n"),
        ("desc/stem.desc", "red - Red\n", None),
        ("thirdpartymirrors", "wood\thttps://w.invalid/\nstone x\n", "wood\thttps://w.invalid/\n"),
        ("categories", "b\na\n", "a\n"),
        ("license_groups", "ONE @TWO other\nTWO mine\nTHREE other @LOST\n", "ONE @TWO\nTWO mine\n"),
        ("arch.list", "amd64\n", "amd64\n"),
        ("default/package.mask", "a/one\n", None),
        ("updates/1Q-2026", "slotmove a/one 0 1\nslotmove a/two 0 1\n", "slotmove a/one 0 1\n"),
    ],
)
def test_only_what_concerns_the_packages_is_left(path: str, text: str, left: str | None) -> None:
    assert concerning(path, text, USED) == left
    assert left is None or is_wanted(path)


def test_moves_are_followed_over_several_steps() -> None:
    text = "move a/zero a/half\nmove b/x b/y\nmove a/half a/one\n"
    assert updates(text, {"a/one"}) == "move a/zero a/half\nmove a/half a/one\n"
    assert updates("move a/one a/gone\n", {"a/one"}) is None


def test_profiles_themselves_are_not_taken() -> None:
    assert not is_wanted("default/make.defaults")
    assert not is_wanted("profiles.desc")
    assert not is_wanted("package.mask/deep/er")


def test_a_layout_names_masters_and_the_cache_that_is_made() -> None:
    assert layout("masters = gentoo\n", "main") == "masters = gentoo\n"
    assert layout("masters =\ncache-formats = pms\n", "main") == (
        "masters =\ncache-formats = md5-dict\n"
    )
    assert layout("", "main") == "masters = main\n"
    assert layout("", None) == "masters =\n"
