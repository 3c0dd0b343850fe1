"""Several machines in one plan: what they have in common is built once."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import tiny
from tests.support import Store

pytestmark = pytest.mark.real

LEAF, REPORT = "tiny/leaf-1::tiny", "tiny/report-1::tiny"
FAILS = """EAPI=8
DESCRIPTION="cannot be built"
HOMEPAGE="https://example.org/tiny"
S="${WORKDIR}"
LICENSE="public-domain"
SLOT="0"
KEYWORDS="amd64"
RDEPEND="tiny/greet"
src_compile() { die "on purpose"; }
"""


@pytest.fixture(scope="module")
def made(root_seeded: Store, ground: Path) -> tiny.Build:
    """A project of three machines: two are alike, the third has another report."""
    (ground / "several").mkdir()
    store = root_seeded.copy(ground / "several/store")
    place = tiny.place_for(store)
    text = (place / "machines/tiny.toml").read_text()
    (place / "portage/long").mkdir()
    (place / "portage/long/package.use").write_text("tiny/report long\n")
    (place / "machines/alike.toml").write_text(text)
    long = text.replace('"base"', '"base", "long"')
    (place / "machines/long.toml").write_text(long)
    return tiny.Build(store, place, (), {})


def built(made: tiny.Build, *arguments: str) -> list[dict[str, Any]]:
    """The events of a build of several machines, which works."""
    words = ("-C", made.project, "build", "--progress", "json", *arguments)
    done = made.store.cloche(*words, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def ends(events: list[dict[str, Any]]) -> dict[str, str]:
    """What became of each package."""
    return {each["package"]: each["how"] for each in events if each["event"] == "done"}


def test_what_is_shared_is_built_once_and_told_for_whom(made: tiny.Build) -> None:
    events = built(made, "--all")
    (plan,) = (each for each in events if each["event"] == "planned")
    assert plan["machine"] == "alike, long, tiny"
    assert plan["machines"][LEAF] == ["alike", "long", "tiny"]
    assert plan["machines"][REPORT] == ["alike", "tiny"]
    assert plan["machines"][f"{REPORT}@long"] == ["long"]
    assert len(plan["packages"]) == len(tiny.PACKAGES) + 1
    assert ends(events) == dict.fromkeys(plan["packages"], "built")
    began = [each["package"] for each in events if each["event"] == "started"]
    assert began.count(LEAF) == 2  # its build and its merge
    (end,) = (each for each in events if each["event"] == "finished")
    assert (end["built"], end["reused"]) == (len(plan["packages"]), 0)
    outputs = {each["machine"] for each in events if each["event"] == "delivered"}
    assert outputs == {"alike", "long", "tiny"}
    packed = (made.project / f"out/{name}/stage4.tar.zst" for name in ("alike", "tiny"))
    first, second = (path.read_bytes() for path in packed)
    assert first == second

    again = built(made, "--all")
    assert set(ends(again).values()) == {"reused"}
    stages = [each for each in again if each["event"] == "stage" and each["state"] == "end"]
    assert all(each["reused"] for each in stages)
    assert {each["machine"] for each in stages} == {"alike", "long", "tiny"}

    # Each machine has a record of its own, as if it had been built alone.
    told = made.store.cloche("-C", made.project, "machine", "diff", "tiny", "long", check=True)
    assert told.stdout.startswith("~ tiny/report 1  USE +long")
    report = tiny.build(made.store, made.project, machine="long")
    assert report.packages("reused") == tiny.PACKAGES


def test_a_rebuild_is_done_once(made: tiny.Build) -> None:
    events = built(made, "alike", "tiny", "--rebuild", "leaf")
    assert {id: how for id, how in ends(events).items() if how != "reused"} == {LEAF: "built"}
    assert [each["package"] for each in events if each["event"] == "started"].count(LEAF) == 2


def test_a_failure_is_told_for_all_whom_it_concerns(made: tiny.Build) -> None:
    ebuild = made.project / "repo/tiny/fails/fails-1.ebuild"
    ebuild.parent.mkdir()
    ebuild.write_text(FAILS)
    (ebuild.parent / "Manifest").touch()
    for name in ("first", "second"):
        text = (made.project / "machines/tiny.toml").read_text()
        changed = text.replace("packages = [", 'packages = ["tiny/fails", ')
        (made.project / f"machines/{name}.toml").write_text(changed)
    words = ("-C", made.project, "build", "first", "tiny", "second")
    done = made.store.cloche(*words, "--keep-going")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "cloche: 2 of 3 machines failed: first, second"
    assert "tiny: 0 packages built, 6 reused" in done.stdout
    assert done.stderr.count("] failed   tiny/fails-1") == 1
    assert "for first, second" in done.stderr
    listed = made.store.cloche("-C", made.project, "history", "first", check=False)
    assert "Traceback" not in listed.stderr
    broken = made.project / "machines/first.toml"
    broken.write_text(broken.read_text().replace('"tiny/fails", ', '"tiny/none", '))
    done = made.store.cloche(*words, "--keep-going")
    assert "first: failed\n" in done.stdout
    assert [line for line in done.stderr.splitlines() if line.startswith("first: ")] != []
    assert "tiny/none" in done.stderr
    done = made.store.cloche(*words)
    assert done.returncode != 0
    assert "tiny/none" in done.stderr

    # Neither does a machine that has no seed end the others, and JSON on standard output hides
    # no reason.
    settings = made.project / "cloche.toml"
    whole = settings.read_text()
    settings.write_text(f'{whole}\n[seeds.lost]\ntype = "tarball"\npath = "lost.tar"\n')
    lost = made.project / "machines/lost.toml"
    lost.write_text((made.project / "machines/tiny.toml").read_text().replace('"debian"', '"lost"'))
    words = ("-C", made.project, "build", "lost", "tiny", "--progress", "json", "--keep-going")
    done = made.store.cloche(*words)
    assert done.returncode == 2
    assert done.stderr.splitlines()[0].startswith("lost: the seed “lost” is not in the store yet")
    ended = [json.loads(line) for line in done.stdout.splitlines()]
    assert set(ends(ended).values()) == {"reused"}
    assert [each["machine"] for each in ended if each["event"] == "delivered"] == ["tiny"]

    lost.unlink()
    settings.write_text(whole)
    for name in ("first", "second"):
        (made.project / f"machines/{name}.toml").unlink()


def test_a_patch_reaches_the_machines_that_have_its_package(made: tiny.Build) -> None:
    text = (made.project / "machines/tiny.toml").read_text()
    less = text.replace(text[text.index("packages = [") :].split("]")[0], 'packages = ["tiny/leaf"')
    (made.project / "machines/less.toml").write_text(less)
    built(made, "less", "tiny")
    made.store.cloche("-C", made.project, "lock", "less", "tiny", check=True)
    patch = made.project / "patches/tiny/report/one.patch"
    patch.parent.mkdir(parents=True)
    patch.write_text("--- /dev/null\n+++ b/more\n@@ -0,0 +1 @@\n+more\n")

    # The lock holds the patches of a machine's packages, and no others.
    made.store.cloche("-C", made.project, "build", "less", "--locked", check=True)
    held = made.store.cloche("-C", made.project, "build", "tiny", "--locked")
    assert held.returncode == 2
    assert "configuration" in held.stderr

    built(made, "less", "tiny")  # resolved with the patches' new directory
    patch.write_text(patch.read_text().replace("+more\n", "+much more\n"))
    events = built(made, "less", "tiny")
    assert {id for id, how in ends(events).items() if how == "built"} == {REPORT}
    again = {
        each["machine"]
        for each in events
        if each["event"] == "stage" and each["state"] == "end" and not each["reused"]
    }
    assert again == {"tiny"}
    for name, there in (("less", []), ("tiny", ["one.patch"])):
        listed = subprocess.run(
            ["tar", "-tf", made.project / f"out/{name}/stage4.tar.zst"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.split()
        assert [each.rpartition("/")[2] for each in listed if each.endswith(".patch")] == there
    (made.project / "machines/less.toml").unlink()
