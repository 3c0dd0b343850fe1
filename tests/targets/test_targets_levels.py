"""What each level demands of the environment that a package was built in."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cloche.targets.costing import Asked, cost
from cloche.targets.levels import (
    Environment,
    Level,
    Seen,
    differences,
    fingerprint,
    flags_of,
    misfits,
    newer,
)
from cloche.targets.results import Known

LEAF = Seen("dev-libs/leaf", "0", "1", "1.0", ("veins",))
AXE = Seen("dev-util/axe", "0", "0", "2")
ENVIRONMENT = Environment({"CFLAGS": "-O2"}, (AXE, LEAF), (LEAF,), target="whole")

OTHERS = {
    Level.FLAGS: replace(ENVIRONMENT, flags={"CFLAGS": "-O3"}),
    Level.ABI: replace(ENVIRONMENT, run=(replace(LEAF, sub_slot="2"),)),
    Level.CLOSURE: replace(ENVIRONMENT, build=(replace(AXE, version="1"), LEAF)),
    Level.CLONE: replace(ENVIRONMENT, target="another"),
}


@pytest.mark.parametrize(("first", "other"), OTHERS.items())
@pytest.mark.parametrize("level", list(Level))
def test_a_level_demands_its_own_and_what_those_before_it_do(
    first: Level, other: Environment, level: Level
) -> None:
    demanded = level.rank >= first.rank
    if (first, level) == (Level.CLOSURE, Level.CLONE):  # the whole of the target says it
        demanded = False
    assert bool(differences(other, ENVIRONMENT, level)) == demanded
    assert (fingerprint(other, level) != fingerprint(ENVIRONMENT, level)) == demanded


def test_the_difference_is_named() -> None:
    (text,) = differences(OTHERS[Level.ABI], ENVIRONMENT, Level.ABI)
    assert text == "dev-libs/leaf:0: built with “2”, here it is “1”"


def test_flags_are_a_class_whatever_the_space_between_them() -> None:
    variables = {"CFLAGS": " -O2\n -pipe ", "LDFLAGS": " ", "ARCH": "amd64"}
    assert flags_of(variables) == {"CFLAGS": "-O2 -pipe"}


def test_what_acts_at_a_merge_is_left_to_the_target() -> None:
    merging = {"INSTALL_MASK": "/x", "COLLISION_IGNORE": "/x", "FEATURES": "suidctl noman"}
    assert flags_of(merging) == {}
    assert flags_of({"FEATURES": "collision-protect splitdebug"}) == {"FEATURES": "splitdebug"}


def test_environments_with_other_code_are_others_in_costs() -> None:
    for level in Level:
        found = {
            fingerprint(each, level)
            for each in (
                ENVIRONMENT,
                replace(ENVIRONMENT, code={"bashrc": "1"}),
                replace(ENVIRONMENT, tools="1"),
            )
        }
        assert len(found) == 3


def test_what_a_target_does_not_have_contradicts_nothing() -> None:
    assert not misfits(ENVIRONMENT, ENVIRONMENT, {}, Level.ABI)
    assert "here it is none" in misfits(ENVIRONMENT, ENVIRONMENT, {}, Level.CLOSURE)[0]
    other = {LEAF.name: replace(LEAF, version="1.1")}
    assert not misfits(ENVIRONMENT, ENVIRONMENT, other, Level.ABI)
    assert misfits(ENVIRONMENT, ENVIRONMENT, other, Level.CLOSURE)


def test_compiler_flags_only_count_from_their_level_on() -> None:
    assert not misfits(ENVIRONMENT, Environment(), {}, Level.USE)
    assert misfits(ENVIRONMENT, Environment(), {}, Level.FLAGS)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PKG_INSTALL_MASK", "/usr/bin/x"),
        ("EXTRA_ECONF", "--x"),
        ("CC", "sh -c x"),
        ("CFLAGS", "@x"),
    ],
)
def test_what_another_target_says_else_is_not_taken_at_any_level(name: str, value: str) -> None:
    made = replace(ENVIRONMENT, flags={**ENVIRONMENT.flags, name: value})
    assert f"{name}: built with “{value}”" in differences(made, ENVIRONMENT, Level.USE)[0]
    assert not differences(ENVIRONMENT, made, Level.USE)
    assert not differences(made, made, Level.USE)


@pytest.mark.parametrize("level", list(Level))
def test_code_of_another_target_is_not_taken_at_any_level(level: Level) -> None:
    made = replace(ENVIRONMENT, code={"patches/a.patch": "1"})
    for own in (ENVIRONMENT, replace(ENVIRONMENT, code={"patches/a.patch": "2"})):
        reason = (
            "patches/a.patch of another machine, or of an earlier state of this one, worked on it"
        )
        assert differences(made, own, level)[0] == reason
    assert not differences(made, made, level)
    tools = replace(ENVIRONMENT, tools="digest")
    assert "tools" in differences(tools, replace(ENVIRONMENT, tools="other"), level)[0]
    assert not differences(tools, tools, level)
    assert not differences(ENVIRONMENT, tools, level)


@pytest.mark.parametrize("level", list(Level))
def test_code_of_the_target_is_missed_from_level_2_on(level: Level) -> None:
    own = replace(ENVIRONMENT, code={"bashrc": "1"})
    missed = ("it was made without bashrc of this machine, which needs the permission `inject`",)
    assert differences(ENVIRONMENT, own, level) == (() if level is Level.USE else missed)


@pytest.mark.parametrize(
    ("name", "value", "needed"),
    [("EXTRA_ECONF", "--x", True), ("CFLAGS", "-O2 -fplugin=x.so", True), ("CFLAGS", "-O3", False)],
)
def test_a_missed_variable_names_the_permission_that_it_needs(
    name: str, value: str, needed: bool
) -> None:
    own = replace(ENVIRONMENT, flags={**ENVIRONMENT.flags, name: value})
    (text,) = differences(ENVIRONMENT, own, Level.ABI)
    assert f"here it is “{value}”" in text
    assert ("the permission `inject`" in text) is needed
    (text,) = differences(own, ENVIRONMENT, Level.ABI)  # another machine has it, this one has not
    assert "inject" not in text


def test_symbols_may_not_be_newer_than_the_libraries() -> None:
    has = {"GLIBC": "2.36", "GLIBCXX": "3.4.30"}
    assert newer([("GLIBC", "2.4")], {"GLIBC": "9" * 5000}) == ()
    assert newer([("GLIBC", "2.4"), ("GLIBC", "2.36"), ("GLIBCXX", "3.4.9")], has) == ()
    assert newer([("GLIBC", "2.38"), ("CXXABI", "1.3")], has) == (
        "it needs CXXABI_1.3, the target has none",
        "it needs GLIBC_2.38, the target has GLIBC_2.36",
    )


def test_costs_count_what_is_distinct_and_what_is_ready() -> None:
    other = replace(ENVIRONMENT, flags={"CFLAGS": "-O3"})
    asked = [
        Asked("app-misc/tree-1", (), ENVIRONMENT),
        Asked("app-misc/tree-1", (), ENVIRONMENT),
        Asked("app-misc/tree-1", (), other),
        Asked("app-misc/tree-1", ("fruit",), ENVIRONMENT),
    ]
    known = [Known("app-misc/tree-1", (), other, 1000)]
    use, flags = (cost(asked, known, level) for level in (Level.USE, Level.FLAGS))
    assert (use.environments, use.builds, use.ready, use.bytes) == (1, 2, 1, 2000)
    assert (flags.environments, flags.builds, flags.ready, flags.bytes) == (2, 3, 1, 3000)
