"""A machine whose repository comes by git: taken, listed, built, the same as from a directory."""

from __future__ import annotations

import json
import subprocess
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
import tiny
from tests.support import Store, project

pytestmark = pytest.mark.real


def git(store: Store, place: Path, *words: str) -> None:
    """Run git as the store's user."""
    told = ("-c", "user.name=somebody", "-c", "user.email=somebody@test.invalid")
    command = [*store.user.as_user(), "git", "-C", str(place), *told, *words]
    subprocess.run(command, env=store.user.environment(None), check=True)


def published(store: Store) -> Path:
    """The project of tiny packages, its repository somewhere else and in git."""
    place = project(store, tiny.PROJECT)
    upstream = place.parent / "upstream"
    (place / "repo").rename(upstream)
    for words in (("init", "--quiet"), ("add", "--all"), ("commit", "--quiet", "-m", "one")):
        git(store, upstream, *words)
    text = (place / "cloche.toml").read_text()
    declared = 'sync_type = "git"\nsync_uri = "../upstream"'
    (place / "cloche.toml").write_text(text.replace('path = "repo"', declared))
    return place


def test_a_machine_from_git_is_the_one_from_a_directory(root_seeded: Store, fresh) -> None:
    before = tiny.built_once(root_seeded)
    store, place = fresh(before.store), published(root_seeded)
    refused = store.cloche("build", "tiny", cwd=place)
    assert refused.returncode == 2
    assert "run `cloche repo sync tiny`" in refused.stderr
    (listed,) = json.loads(store.cloche("repo", "list", "--json", cwd=place, check=True).stdout)
    assert (listed["type"], listed["state"]) == ("git", "")

    told = store.cloche("repo", "sync", "--json", cwd=place, check=True)
    synced = json.loads(told.stdout)["tiny"]
    assert Path(synced["path"], "profiles/repo_name").read_text() == "tiny\n"
    locked = tomllib.loads((place / "cloche.lock").read_text())["repos"]["tiny"]
    assert locked["commit"].startswith(synced["state"])
    assert locked["tree"] == synced["tree"]

    built = tiny.build(store, place)
    assert built.layers == before.layers
    store.cloche("lock", cwd=place, check=True)
    after = tomllib.loads((place / "cloche.lock").read_text())["repos"]["tiny"]
    assert after == locked  # the commit stays in it
    tiny.build(store, place, "--locked", "--offline")

    (place.parent / "upstream/licenses/new").write_text("new")
    git(store, place.parent / "upstream", "add", "--all")
    git(store, place.parent / "upstream", "commit", "--quiet", "-m", "two")
    store.cloche("fetch", "--locked", cwd=place, check=True)  # what is locked, not what is new
    told = store.cloche("repo", "sync", "--json", cwd=place, check=True)
    moved = json.loads(told.stdout)
    assert moved["tiny"]["tree"] != locked["tree"]
    assert told.stderr.endswith("tiny: no other ebuilds for the packages of tiny\n")
    with (place.parent / "upstream/tiny/leaf/leaf-1.ebuild").open("a") as file:
        file.write("# Another one.\n")
    git(store, place.parent / "upstream", "commit", "--quiet", "--all", "-m", "three")
    told = store.cloche("repo", "sync", cwd=place, check=True)
    line = "tiny: other ebuilds for tiny: tiny/leaf; see `cloche plan MACHINE`\n"
    assert told.stderr.endswith(line)
    gone = store.cloche("repo", "rm", "tiny", cwd=place, check=True)
    assert synced["state"] in gone.stderr


def test_profiles_are_listed_and_checked_first(seeded: Store) -> None:
    place = published(seeded)
    store = replace(seeded, path=place.parent / "empty")
    store.cloche("repo", "sync", cwd=place, check=True)
    told = store.cloche("profile", "list", "tiny", "--json", cwd=place, check=True)
    (found,) = json.loads(told.stdout)
    assert found["profile"] == "tiny:default"
    assert found["used"] is True
    machine = place / "machines/tiny.toml"
    machine.write_text(machine.read_text().replace("tiny:default", "tiny:defualt"))
    refused = store.cloche("build", "tiny", cwd=place)
    assert refused.returncode == 2
    assert "did you mean “tiny:default”?" in refused.stderr  # before the seed, which is not there
    assert store.cloche("profile", "list", "--arch", "amd46", cwd=place).returncode == 2
