"""`cloche machine`: list, show, diff, new."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
import tiny
from tests.support import Store

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def built(root_seeded: Store, ground: Path) -> tiny.Build:
    """A finished build, in a store and a project that the tests of this module change."""
    made = tiny.built_once(root_seeded)
    (ground / "commands").mkdir()
    return tiny.fresh_copy(made, made.store.copy(ground / "commands/store"))


def machine(made: tiny.Build, *arguments: str, **more: Any) -> Any:
    """``cloche -C PROJECT machine ARGUMENTS``."""
    return made.store.cloche("-C", made.project, "machine", *arguments, **more)


def rows(made: tiny.Build, *arguments: str) -> Any:
    """What it says as JSON."""
    return json.loads(machine(made, *arguments, "--json", check=True).stdout)


def test_machines_are_listed_shown_and_compared(built: tiny.Build) -> None:
    tiny.build(built.store, built.project)  # recorded under this project's place
    (row,) = rows(built, "list")
    assert (row["name"], row["state"], row["packages"]) == ("tiny", "current", len(tiny.PACKAGES))
    (built.project / "portage/base/package.use").write_text("tiny/report long\n")
    assert rows(built, "list")[0]["state"] == "behind"
    tiny.build(built.store, built.project)
    assert rows(built, "list")[0]["state"] == "current"

    # What is done after the packages counts, too; where that stands in the file does not.
    file = built.project / "machines/tiny.toml"
    text = file.read_text()
    file.write_text(f"# A comment.\n{text}")
    assert rows(built, "list")[0]["state"] == "current"
    file.write_text(f'hostname = "other"\n{text}')
    assert rows(built, "list")[0]["state"] == "behind"
    file.write_text(text)

    first = rows(built, "list")[0]["build"] - 1
    compared = rows(built, "diff", "tiny", "--files")
    assert compared["system"] == []
    assert compared["finish"] == {"removed": [], "added": [], "changed": []}
    (change,) = compared["packages"]
    assert (change["name"], change["how"], change["use"]) == ("tiny/report", "changed", ["+long"])
    assert change["files"]["added"] or change["files"]["changed"]
    assert rows(built, "diff", f"tiny@{first}", f"tiny@{first}") == {
        "packages": [], "system": [], "finish": None
    }  # fmt: skip
    said = machine(built, "diff", f"tiny@{first + 1}", f"tiny@{first}", check=True)
    assert said.stdout.startswith("~ tiny/report 1  USE -long")
    shown = machine(built, "show", f"tiny@{first}", check=True).stdout
    assert "USE=" not in shown.split("tiny/report-1")[1].splitlines()[0]
    assert 'tiny/report-1::tiny  USE="long"' in machine(built, "show", "tiny", check=True).stdout

    file.write_text(f'hostname = "other"\n{text}')
    tiny.build(built.store, built.project)
    (change,) = rows(built, "diff", "tiny")["system"]
    assert (change["section"], change["name"], change["after"]) == ("system", "hostname", "other")
    said = machine(built, "diff", "tiny", check=True)
    assert said.stdout == "+ system: hostname  other\n"
    said = machine(built, "diff", "tiny", "--files", check=True)
    assert said.stdout.endswith("~ files that the finish wrote\n    + etc/hostname\n")
    assert said.stderr.endswith(": 1 setting differs\n")
    file.write_text(text)
    tiny.build(built.store, built.project)


def test_the_last_build_that_ended_well_is_told_after_others(built: tiny.Build) -> None:
    tiny.build(built.store, built.project)
    tiny.build(built.store, built.project)  # nothing changed
    (before,) = rows(built, "list")
    shown = rows(built, "show", "tiny")
    assert shown["state"] == "current"
    file = built.project / "machines/tiny.toml"
    text = file.read_text()
    (built.project / "fails.sh").write_text("#!/bin/sh\nexit 1\n")
    file.write_text(f'hooks = ["fails.sh"]\n{text}')
    assert machine(built, "list", check=True).stdout.splitlines()[1].endswith("  behind")
    failed = built.store.cloche("-C", built.project, "build", "tiny")
    assert failed.returncode == 2
    (after,) = rows(built, "list")
    assert after == {**before, "state": "failed"}
    file.write_text(text)
    lines = machine(built, "show", "tiny", check=True).stdout.splitlines()
    assert f"last      build {before['build'] + 1} failed, see `cloche report tiny`" in lines
    assert "state     the last build failed" in lines
    assert f"built     {time.strftime('%Y-%m-%d %H:%M', time.localtime(before['built']))}" in lines
    assert f"seed      debian  {shown['seed_layer']}" in lines
    assert (shown["built"], shown["size"]) == (before["built"], before["size"])
    tiny.build(built.store, built.project)
    (after,) = rows(built, "list")
    assert (after["build"], after["state"]) == (before["build"] + 2, "current")
    assert after["built"] > before["built"]


def test_a_machine_begins_as_another_one(built: tiny.Build) -> None:
    machine(built, "new", "small", "--like", "tiny", check=True)
    file = built.project / "machines/small.toml"
    assert file.read_text() == (built.project / "machines/tiny.toml").read_text()
    by_name = {each["name"]: each["state"] for each in rows(built, "list")}
    assert by_name["small"] == "not built"
    assert "build     not built yet\n" in machine(built, "show", "small", check=True).stdout
    shown = rows(built, "show", "small")
    assert (shown["build"], shown["packages"], shown["seed"]) == (None, [], "debian")
    assert "not built yet" in machine(built, "show", "small@1").stderr
    said = built.store.cloche("-C", built.project, "build", "--all", check=True).stdout
    assert re.search(r"^small: 0 packages built", said, re.MULTILINE)
    assert re.search(r"^tiny: 0 packages built", said, re.MULTILINE)
    for arguments in (("build",), ("build", "--all", "small")):
        assert "--all" in built.store.cloche("-C", built.project, *arguments).stderr
    by_name = {each["name"]: each["state"] for each in rows(built, "list")}
    assert by_name == {"small": "current", "tiny": "current"}
    for arguments, words in (
        (("new", "small", "--like", "tiny"), "it is there already"),
        (("new", "a/b", "--like", "tiny"), "is not a machine's name"),
        (("new", "other", "--like", "tinny"), "did you mean “tiny”?"),
        (("new", "n" * 300, "--like", "tiny"), "at most 100"),
        (("show", f"tiny@{'9' * 5000}"), "no machine is called"),
        (("diff", "small"), "no finished build before it is recorded"),
        (("diff", "tiny@99"), "no finished build 99 is recorded"),
    ):
        refused = machine(built, *arguments)
        assert refused.returncode in (1, 2)
        assert words in refused.stderr
        assert len(refused.stderr.splitlines()) == 1
    file.write_text('seed = "none"\n')
    by_name = {each["name"]: each for each in rows(built, "list")}
    assert by_name["tiny"]["state"] == "current"
    assert by_name["small"]["state"] == "unknown"
    assert "small.toml:1: no seed is called “none”" in by_name["small"]["why"]
    file.unlink()
