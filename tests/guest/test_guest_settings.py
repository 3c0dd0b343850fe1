"""Portage's settings in a sandbox are data in one place."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloche.guest import settings
from cloche.guest.graph import kinds


def test_no_feature_is_both_on_and_off() -> None:
    assert not set(settings.FEATURES_ON) & set(settings.FEATURES_OFF)


def test_isolation_is_left_to_the_outside() -> None:
    assert {"-sandbox", "-network-sandbox"} <= set(settings.ENVIRONMENT["FEATURES"].split())


def test_nothing_of_the_callers_environment_comes_in(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = dict.fromkeys(
        [*settings.ENVIRONMENT, "USE", "FOO", "MAKEFLAGS", "TZ"], "caller's"
    )
    monkeypatch.setattr(settings.os, "environ", environment)
    settings.apply(CONFIG_PROTECT="-*")
    assert {k for k, v in environment.items() if v == "caller's"} == {"TZ"}
    assert environment["MAKEOPTS"] == ""
    assert environment["CONFIG_PROTECT"] == "-*"


def test_repos_conf_is_read_in_order_without_backups(tmp_path: Path) -> None:
    for name, text in (("b.conf", "[b]"), ("a.conf", "[a]"), ("a.conf~", "[x]"), (".c", "[y]")):
        (tmp_path / name).write_text(text)
    assert settings.repositories(tmp_path) == "[a]\n[b]"
    assert settings.repositories(tmp_path / "a.conf") == "[a]"
    assert settings.repositories(tmp_path / "none") is None


class Priority:
    """A priority of Portage's as far as it is read."""

    def __init__(self, **flags: bool) -> None:
        self.__dict__.update(flags)


def test_idepend_is_no_rdepend_although_portage_orders_it_like_one() -> None:
    assert kinds([Priority(installtime=True, runtime=True)]) == ["install"]


def test_all_kinds_of_a_pair_are_named_in_one_order() -> None:
    found = kinds([Priority(runtime_post=True), Priority(runtime=True), Priority(buildtime=True)])
    assert found == ["buildtime", "runtime", "runtime_post"]


def test_a_dependency_that_portage_ignores_is_none() -> None:
    assert kinds([Priority(buildtime=True, ignored=True)]) == []
