"""A package's identity holds the variables that may change its build, and no others."""

from __future__ import annotations

from cloche.guest.variables import effective, stays_out


def test_compiler_flags_and_unknown_variables_are_kept() -> None:
    variables = {"CFLAGS": "-O2", "CHOST": "x86_64-pc-linux-gnu", "MY_SWITCH": "on"}
    assert effective(variables) == variables


def test_jobs_places_and_cosmetics_are_dropped() -> None:
    variables = dict.fromkeys(
        ["MAKEOPTS", "NINJAOPTS", "PATH", "T", "NOCOLOR", "FETCHCOMMAND_SSH", "PORTAGE_TMPDIR"], "x"
    )
    assert effective(variables) == {}


def test_settings_of_make_are_kept_as_they_reach_it() -> None:
    flags = dict.fromkeys(["MAKEFLAGS", "GNUMAKEFLAGS", "MAKELEVEL", "SAMUFLAGS"], "x")
    assert effective(flags) == flags
    assert not any(map(stays_out, flags))


def test_what_is_dropped_stays_out_unless_portage_reads_it() -> None:
    assert all(map(stays_out, ["LESSOPEN", "CCACHE_PREFIX", "PYTHONPATH", "XARGS", "LANG"]))
    assert not any(map(stays_out, ["USE", "FEATURES", "CFLAGS", "PORTAGE_COMPRESS", "MINE"]))


def test_settings_of_portage_that_show_in_an_image_are_kept() -> None:
    assert effective({"PORTAGE_COMPRESS": "xz", "PORTAGE_BIN_PATH": "/x"}) == {
        "PORTAGE_COMPRESS": "xz"
    }


def test_what_acts_at_a_merge_is_kept() -> None:
    names = ["INSTALL_MASK", "PKG_INSTALL_MASK", "COLLISION_IGNORE", "UNINSTALL_IGNORE"]
    masks = dict.fromkeys(names, "/usr/bin/x")
    assert effective(masks) == masks
    kept = effective({"FEATURES": "protect-owned collision-protect candy"})
    assert kept == {"FEATURES": "collision-protect protect-owned"}


def test_use_expand_is_left_to_use() -> None:
    assert effective({"PYTHON_TARGETS": "python3_12", "ARCH": "amd64"}, ["PYTHON_TARGETS"]) == {
        "ARCH": "amd64"
    }


def test_features_are_reduced_to_those_that_matter() -> None:
    kept = effective({"FEATURES": "news splitdebug parallel-fetch nostrip"})
    assert kept == {"FEATURES": "nostrip splitdebug"}
    assert effective({"FEATURES": "news"}) == {}


def test_an_empty_value_is_no_value() -> None:
    assert effective({"LDFLAGS": ""}) == {}


def test_names_come_sorted() -> None:
    assert list(effective({"Y": "1", "X": "1", "Z": "1"})) == ["X", "Y", "Z"]
