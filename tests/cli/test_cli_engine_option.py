"""Choosing an engine on the command line."""

from __future__ import annotations

import pytest
from tests.faults.looking import said
from tests.support import WORKBENCH, Store, User, project

from cloche.engines import choice

pytestmark = pytest.mark.real


def bootstrap(user: User, *arguments: str, engine: str | None = None) -> str:
    """Ask for a seed in an empty store: the last line, of an engine that does not exist."""
    store = Store(user.home / "no-store", user)
    more = {"CLOCHE_ENGINE": engine} if engine else {}
    place = project(store, WORKBENCH)
    return said(store.cloche("seed", "bootstrap", *arguments, cwd=place, env=more), 2)


def test_an_unknown_engine_is_told_with_all_there_are(root: User) -> None:
    for line in (bootstrap(root, "--engine", "nothing"), bootstrap(root, engine="nothing")):
        assert f"unknown engine “nothing”; use one of {', '.join(choice.NAMES)}" in line


def test_an_absent_tool_is_told_with_its_package(root: User) -> None:
    store = Store(root.home / "no-store", root)
    place = project(store, WORKBENCH)
    env = {"PATH": "/nowhere"}
    done = store.cloche("--engine", "bwrap", "seed", "bootstrap", cwd=place, env=env)
    assert "bwrap: it is not installed; install bubblewrap" in said(done, 3)


def test_an_option_goes_before_the_environment(root: User) -> None:
    assert "“option”" in bootstrap(root, "--engine", "option", engine="environment")
