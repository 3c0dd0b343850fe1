"""Finding packages by what people type."""

import pytest

from cloche.plan.names import bare, cp_of, matching, nearest

CPVS = ("app-misc/jq-1.6::wb", "app-misc/jq-1.7-r1::wb", "dev-libs/libpcre2-10.42::wb")


@pytest.mark.parametrize(
    ("cpv", "cp"),
    [
        ("app-misc/jq-1.6", "app-misc/jq"),
        ("app-misc/jq-1.7-r1", "app-misc/jq"),
        ("media-libs/gd-2-alpha-1.0_rc3-r2", "media-libs/gd-2-alpha"),
        ("virtual/editor-0", "virtual/editor"),
    ],
)
def test_the_version_is_split_off(cpv, cp):
    assert cp_of(cpv) == cp


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("jq", 2),
        ("app-misc/jq", 2),
        ("=app-misc/jq-1.6", 1),
        ("app-misc/jq-1.7-r1", 1),
        ("jq-1.6", 1),
        ("app-misc/jq:0", 2),
        ("app-misc/jq-1.6::wb", 1),
        ("libpcre", 0),
        ("other/jq", 0),
        ("lib*", 1),
        ("app-*/*", 2),
        ("*/*", 3),
        ("jq-1.?", 1),
        ("app-misc/j", 0),
    ],
)
def test_names_are_found_as_people_type_them(text, count):
    assert len(matching(text, CPVS)) == count


def test_a_package_over_the_seed_is_named_by_its_root() -> None:
    both = ("app-misc/jq-1.6::wb", "app-misc/jq-1.6::wb@broot")
    assert matching("jq", both) == both
    assert matching("app-misc/jq@broot", both) == both[1:]
    assert matching(both[1], both) == both[1:]
    assert matching("=app-misc/jq-1.6@broot", both[:1]) == ()
    logs = tuple(map(bare, both))  # what logs are found by
    assert logs == ("app-misc/jq-1.6", "app-misc/jq-1.6@broot")
    assert tuple(map(bare, logs)) == logs
    assert matching("=app-misc/jq-1.6", logs) == logs
    assert matching("jq@broot", logs) == logs[1:]


def test_near_names_are_offered():
    assert nearest("libpcre", CPVS) == ("dev-libs/libpcre2",)
    assert nearest("app-misc/jk", CPVS) == ("app-misc/jq",)
    assert nearest("zzzzzz", CPVS) == ()
