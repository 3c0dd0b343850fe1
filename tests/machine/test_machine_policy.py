"""What a project says beside its packages: the lock that pins its seed, limits that cannot hold."""

from __future__ import annotations

import json
import subprocess
import tomllib
from collections.abc import Callable

import pytest
import tiny
from tests.support import Store, cannot, project

from cloche.sandbox import cgroups

pytestmark = pytest.mark.real


def test_a_seed_that_is_there_already_is_locked(
    root_seeded: Store, fresh: Callable[[Store], Store]
) -> None:
    store = fresh(root_seeded)
    place = project(store, tiny.PROJECT)
    assert not (place / "cloche.lock").exists()
    store.cloche("plan", "tiny", cwd=place, check=True)
    written = (place / "cloche.lock").read_text()
    told = store.cloche("seed", "list", "--json", check=True)
    layers = {seed["layer"] for seed in json.loads(told.stdout)}
    assert tomllib.loads(written)["seeds"]["debian"]["layer"] in layers
    store.cloche("plan", "tiny", cwd=place, check=True)
    assert (place / "cloche.lock").read_text() == written


def test_a_limit_that_cannot_be_kept_is_told(
    ordinary_seeded: Store, fresh: Callable[[Store], Store]
) -> None:
    store = fresh(ordinary_seeded)
    place = project(store, tiny.PROJECT)
    machine = place / "machines/tiny.toml"
    machine.write_text(machine.read_text() + '\n[limits]\nmemory = "4G"\n')
    made = tiny.build(store, place)
    notes = [e["text"] for e in made.events if e["event"] == "note"]
    assert len([text for text in notes if "[limits] memory has no effect here" in text]) == 1


def test_what_a_limit_ends_is_told_with_the_limit(
    root_seeded: Store, fresh: Callable[[Store], Store]
) -> None:
    if not cgroups.can_limit_memory():
        cannot("no control group with a limit on memory can be made here")
    store = fresh(root_seeded)
    place = project(store, tiny.PROJECT)
    machine = place / "machines/tiny.toml"
    machine.write_text(machine.read_text() + '\n[limits]\nmemory = "12M"\n')
    told = store.cloche("plan", "tiny", cwd=place)
    assert told.returncode != 0
    assert "[limits] memory allows (12 MiB)" in told.stderr


def test_a_shell_says_as_shells_do_that_there_is_no_such_command(root_seeded: Store) -> None:
    made = tiny.built_once(root_seeded)
    told = made.store.cloche("shell", "tiny", "--", "nosuchcmd", cwd=made.project)
    assert told.returncode == 127
    assert told.stderr.startswith("cloche: executing nosuchcmd: ")
    words = made.store.user.command("--store", made.store.path, "shell", "tiny", "--", "true")
    closed = subprocess.run(
        ["sh", "-c", '"$@" <&-', "sh", *words],
        cwd=made.project, env=made.store.user.environment(None),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (closed.returncode, closed.stderr) == (0, "")
