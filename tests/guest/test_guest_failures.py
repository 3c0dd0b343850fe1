"""What kind of failure it was is told from Portage's own words."""

from __future__ import annotations

import pytest

from cloche.guest.failures import (
    classify_fetch,
    classify_resolve,
    failed_phase,
    plain,
    tail,
)

CASES = {
    "unknown": (
        'emerge: there are no ebuilds to satisfy "cat/none".\n\nemerge: searching for similar',
        "cat/none",
    ),
    "unsatisfied": (
        'emerge: there are no ebuilds to satisfy ">=cat/none-2:0".\n'
        '(dependency required by "cat/asks-1::toy" [ebuild])\n'
        '(dependency required by "cat/asks" [argument])',
        ">=cat/none-2:0",
    ),
    "masked": (
        '!!! All ebuilds that could satisfy "cat/new" have been masked.\n'
        "!!! One of the following masked packages is required to complete your request:\n"
        "- cat/new-1::toy (masked by: ~amd64 keyword)",
        "cat/new",
    ),
    "use": (
        '[ebuild  N     ] cat/flag-1  USE="foo"\n\n'
        "The following USE changes are necessary to proceed:\n"
        ' (see "package.use" in the portage(5) man page for more details)\n'
        "# required by cat/asks-1::toy\n>=cat/flag-1 foo",
        ">=cat/flag-1",
    ),
    "circular": (
        "[nomerge       ] cat/a-1::toy\n\n * Error: circular dependencies:\n\n"
        "(cat/b-1:0/0::toy, ebuild scheduled for merge) depends on\n"
        " (cat/a-1:0/0::toy, ebuild scheduled for merge) (buildtime)",
        "=cat/b-1",
    ),
    "conflict": (
        "!!! Multiple package instances within a single package slot have been pulled\n"
        "!!! into the dependency graph, resulting in a slot conflict:\n\ncat/s:0\n\n"
        "  (cat/s-2:0/0::toy, ebuild scheduled for merge) pulled in by",
        "cat/s:0",
    ),
    "other": (
        " * ERROR: cat/broken-1::toy failed (depend phase):\n *   no way\n\n"
        '!!! All ebuilds that could satisfy "cat/broken" have been masked.\n'
        "- cat/broken-1::toy (masked by: corruption)",
        "=cat/broken-1",
    ),
}


def test_a_package_that_a_set_asks_for_is_no_dependency() -> None:
    text = (
        'emerge: there are no ebuilds to satisfy "cat/none".\n'
        '(dependency required by "@basics" [argument])'
    )
    assert classify_resolve(text) == ("unknown", "cat/none")


@pytest.mark.parametrize("kind", CASES)
def test_a_failed_resolution_has_its_kind_and_atom(kind: str) -> None:
    text, atom = CASES[kind]
    assert classify_resolve(text) == (kind, atom)


def test_blocked_packages_are_a_conflict_and_named() -> None:
    text = (
        '[blocks B      ] cat/run ("cat/run" is hard blocking cat/blocker-1)\n\n'
        " * Error: The above package list contains packages which cannot be\n"
        " * installed at the same time on the same system."
    )
    assert classify_resolve(text) == ("conflict", "cat/run")


def test_an_ebuild_that_does_not_parse_is_named_when_portage_says_no_more() -> None:
    text = " * ERROR: cat/syntax-1::toy failed (depend phase):\n *   error sourcing ebuild"
    assert classify_resolve(text) == ("other", "=cat/syntax-1")


def test_a_missing_flag_and_an_unmet_requirement_are_failures_of_use() -> None:
    missing = 'emerge: there are no ebuilds built with USE flags to satisfy "cat/flag[bar]".'
    unmet = '!!! The ebuild selected to satisfy "cat/req" has unmet requirements.'
    assert classify_resolve(missing) == ("use", "cat/flag[bar]")
    assert classify_resolve(unmet) == ("use", "cat/req")


def test_an_update_that_is_skipped_in_another_root_is_not_what_lacks_a_flag() -> None:
    skipped = (
        "!!! The following update has been skipped due to unsatisfied dependencies:\n\n"
        "cat/other:0 for /target/\n\n"
    )
    text, atom = CASES["use"]
    assert classify_resolve(skipped + text) == ("use", atom)


def test_binary_packages_of_other_flags_are_masked_and_missing_ones_unsatisfied() -> None:
    other = (
        '!!! All binary packages that could satisfy "cat/new" for /target/ have been masked.\n'
        "!!! One of the following masked packages is required to complete your request:\n"
        "- cat/new-1::toy (masked by: use flag configuration mismatch)"
    )
    assert classify_resolve(other) == ("masked", "cat/new")
    missing = (
        'emerge: there are no binary packages to satisfy "cat/tool".\n'
        '(dependency required by "cat/asks-1::toy" [binary])'
    )
    assert classify_resolve(missing) == ("unsatisfied", "cat/tool")


def test_a_set_that_does_not_exist_is_unknown() -> None:
    text = "emerge: There are no sets to satisfy 'nope'. The following sets exist:"
    assert classify_resolve(text) == ("unknown", "nope")


def test_words_that_nobody_foresaw_are_other() -> None:
    assert classify_resolve("The moon is in the wrong house.") == ("other", None)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            "VERIFY FAILED!\n!!! Reason: Failed on BLAKE2B verification",
            "digest",
        ),
        ("VERIFY FAILED!\n!!! Reason: Filesize does not match recorded size", "size"),
        ("2026-01-01 ERROR 404: Not Found.\n!!! Couldn't download 'x'. Aborting.", "missing"),
        ("cp: cannot stat '/m/x': No such file or directory", "missing"),
        ("wget: unable to resolve host address 'x'\nERROR 404: Not Found.", "network"),
        ("!!! Couldn't download 'x'. Aborting.", "network"),
    ],
)
def test_a_failed_fetch_has_its_reason(text: str, reason: str) -> None:
    assert classify_fetch(text) == reason


def test_colours_and_progress_are_taken_out() -> None:
    assert plain("\x1b[31;01mred\x1b[39;49;00m\n 10%\r100%\n\n\n\n\nend  \n") == "red\n100%\n\nend"


def test_the_tail_of_a_log_is_its_last_lines() -> None:
    assert tail("\n".join(map(str, range(100))), 2) == "98\n99"


def test_the_phase_that_died_last_is_found() -> None:
    text = " * ERROR: a/b-1::r failed (preinst phase):\n * ERROR: a/b-1::r failed (postinst phase):"
    assert failed_phase(text) == "postinst"
    assert failed_phase("all is well") is None
