"""`cloche releng run`: specs of one configuration as one plan, with hooks, a report, resumption."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.releng.small import COMMON, NOTE, released
from tests.support import Store

from cloche.releng.journal import Entry, SpecEnded, SpecStarted, read_journal
from cloche.store.locks import held_file

pytestmark = pytest.mark.real

CONF = """\
SPECS_DIR={place}/specs
CATALYST_CONFIG={place}/catalyst.conf
SETS="one two"
SET_one_SPECS="first.spec"
SET_two_SPECS="second.spec"
SET_two_OPTIONAL_SPECS="child.spec broken.spec"

post_build() {{ echo "$1 $2 $TIMESTAMP $TREEISH" >> {place}/hooked; }}
"""
SPECS = {
    "first": "target: stage1\nprofile: default\n",
    "second": "target: stage1\nprofile: second\n",
    "broken": "target: stage1\nprofile: broken\n",
    "child": "target: stage4\nprofile: default\nstage4/packages: app-misc/note\n",
}
STAMP = "20261128T000000Z"
BUILT = ("first.spec", "second.spec")


@dataclass(frozen=True)
class Releng:
    """A configuration with what it needs."""

    store: Store
    place: Path

    @property
    def words(self) -> list[str]:
        """Which run is meant."""
        return ["auto.conf", "--treeish", "abc", "--set", f"TIMESTAMP={STAMP}"]

    @property
    def room(self) -> Path:
        """The directory of the run."""
        return self.place / f"store/cloche/releng/auto/{STAMP}"

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """``cloche releng run``."""
        return self.store.cloche("releng", "run", *self.words, *words, cwd=self.place)

    def entries(self) -> list[Entry]:
        """The journal."""
        journal = self.room / "run.jsonl"
        return [*read_journal(journal)] if journal.exists() else []

    def built(self) -> list[str]:
        """The specs that were built, each time that they were."""
        return [
            each.spec
            for each in self.entries()
            if isinstance(each.event, SpecEnded) and each.event.how == "built"
        ]


@pytest.fixture(scope="module")
def releng(root_seeded: Store, ground: Path) -> Iterator[Releng]:
    with released(root_seeded, ground, "auto", _add_profiles) as made:
        place = made.place
        (place / "specs").mkdir()
        for name, text in SPECS.items():
            common = COMMON.replace("@TIMESTAMP@", f"{name}-@TIMESTAMP@")
            if name == "child":
                common = common.replace("small/seed", "small/stage1-amd64-broken-@TIMESTAMP@")
            spec = (common + text).replace("{place}", str(place))
            (place / f"specs/{name}.spec").write_text(spec)
        (place / "auto.conf").write_text(CONF.format(place=place))
        yield Releng(made.store, place)


def _add_profiles(tree: Path) -> None:
    """Add a profile whose stage1 has one package more, and one with a package that fails."""
    inherited = (tree / "profiles/default/packages.build").read_text()
    more = f"{inherited}\napp-misc/gone\n"
    for name, packages in (("second", more), ("broken", "app-misc/broken\n")):
        profile = tree / "profiles" / name
        profile.mkdir()
        (profile / "eapi").write_text("8\n")
        (profile / "parent").write_text("../default\n")
        (profile / "packages.build").write_text(packages)
    broken = tree / "app-misc/broken/broken-1.ebuild"
    broken.parent.mkdir()
    broken.write_text(NOTE.replace("src_install() {", 'src_install() {\n\tdie "not today"'))


def test_a_configuration_is_built_as_one_plan_and_goes_on_where_it_was(releng: Releng) -> None:
    order = releng.run("--dry-run").stdout.splitlines()
    assert [line.split()[0] for line in order] == [
        "first.spec", "second.spec", "broken.spec", "child.spec",
    ]  # fmt: skip
    assert order[3].endswith("to build, from broken.spec, optional")
    # It is killed while it builds; the next run builds the rest.
    words = ("--store", releng.store.path, "releng", "run", *releng.words)
    killed = releng.store.user.start(*words, cwd=releng.place)
    while killed.poll() is None and not releng.built():
        time.sleep(0.2)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    kept = releng.built()
    told = releng.run()
    assert told.returncode == 0, told.stderr  # what fails is optional
    assert sorted(releng.built()) == sorted(BUILT)
    begun = [e.spec for e in releng.entries() if isinstance(e.event, SpecStarted)]
    assert [begun.count(name) for name in kept] == [1] * len(kept)
    ended = {e.spec: e.event for e in releng.entries() if isinstance(e.event, SpecEnded)}
    assert (ended["broken.spec"].how, ended["child.spec"].how) == ("failed", "skipped")
    # The packages of all specs left are known.
    seen = releng.run("--dry-run", "--packages").stdout.splitlines()
    assert "first.spec   built" in seen[0]
    assert seen[4:] == ["broken.spec: stage1: 1 package to build, 7 reused"]
    # Each hook was called with its set, and at the end for the whole run.
    hooked = (releng.place / "hooked").read_text().splitlines()
    assert set(hooked) == {
        f"one first.spec {STAMP} abc",
        f"two second.spec {STAMP} abc",
        f"  {STAMP} abc",
    }
    (logs,) = releng.place.glob("store/cloche/releng/auto/*/log")
    assert logs.stat().st_mode & 0o777 == 0o700


def test_the_report_says_what_failed_and_that_nothing_was_built_twice(releng: Releng) -> None:
    report = json.loads((releng.room / "report.json").read_text())
    assert report["sentence"] == (
        "4 specs: 2 built, 1 failed, 1 skipped; only optional specs failed"
    )
    specs = {each["name"]: each for each in report["specs"]}
    (failed,) = specs["broken.spec"]["failed"]
    assert failed["package"].startswith("app-misc/broken-1")
    assert "not today" in "\n".join([failed["reason"], *failed["lines"]])
    shared = report["shared"]
    # What was built when the run was killed is not in its journal.
    assert shared["wanted"] > shared["layers"] >= shared["built"] >= 1
    assert shared["ratio"] <= 1.25
    assert "not today" in (releng.room / "report.html").read_text()
    shown = releng.store.cloche("releng", "status", "auto.conf", cwd=releng.place)
    assert "broken.spec (optional)" in shown.stdout
    for name in BUILT:
        stem = name.removesuffix(".spec")
        path = releng.place / f"store/builds/small/stage1-amd64-{stem}-{STAMP}.tar.zstd"
        assert specs[name]["outputs"][str(path)] == path.stat().st_size


def test_two_runs_of_a_configuration_do_not_overlap(releng: Releng) -> None:
    with held_file(releng.room.parent / "lock") as free:
        assert free
        told = releng.run()
    assert told.returncode == 3
    assert "another run of this configuration is in progress" in told.stderr
