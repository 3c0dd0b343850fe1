"""The runner of packages: what is done, what is reused, what becomes of failures."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests import values
from tests.executor import Maker, Site, run
from tests.values import edge, package

from cloche.building import packages
from cloche.building.package_tasks import Seen
from cloche.building.packages import NotMergedError
from cloche.errors import Exit
from cloche.plan.depgraph import Binary, Distfile
from cloche.records.events import Done
from cloche.store import Store
from cloche.tasks.errors import StepError, StoppedError
from cloche.tasks.task import BuildTask, MergeTask

LIB, TOOL = package("lib"), package("tool", edge("lib"))
APP = package("app", edge("tool", "buildtime"), edge("lib"), requested=True)
ALL = (LIB, TOOL, APP)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with Store.open(tmp_path / "store") as store:
        yield Site(store, Maker(store))


def test_a_package_is_built_then_merged_and_leaves_its_slot_between(site: Site) -> None:
    builder, left = site.builder(LIB), list[str]()
    layer = builder(LIB.id, {}, lambda: left.extend(site.maker.names))
    assert left == ["build lib-1"]
    assert site.maker.names == ["build lib-1", "merge lib-1"]
    assert (site.store.tree(layer).path / "usr/share/lib-1").read_text() == "c/lib-1::r "
    assert site.done == [(LIB.id, "built")]


def test_steps_see_the_layers_of_what_they_need_and_nothing_else(site: Site) -> None:
    builder = site.build(*ALL)
    layer = {name: made.layer for name, (made, _) in builder.results.items()}
    seen = {(task.pf, type(task)): task.layers for task in site.maker.tasks}
    assert seen["app-1", BuildTask] == (layer[LIB.id], layer[TOOL.id])
    assert seen["app-1", MergeTask] == (layer[LIB.id],)
    assert seen["lib-1", BuildTask] == seen["lib-1", MergeTask] == ()
    assert {task.base for task in site.maker.tasks} == {
        tuple(each.id for each in builder.context.inputs.base)
    }


def test_what_was_made_is_reused_by_the_next_builder(site: Site) -> None:
    first = site.build(*ALL).results
    again = site.build(*ALL)
    assert site.maker.tasks == []
    assert {name: made for name, (made, _) in again.results.items()} == {
        name: made for name, (made, _) in first.items()
    }
    assert site.done == [(each.id, "reused") for each in ALL]


def test_a_changed_ebuild_builds_its_package_and_what_sees_its_new_layer(site: Site) -> None:
    site.build(*ALL)
    site.maker.content[LIB.id] = "new"
    site.build(*ALL, changed="lib")
    assert site.maker.names == [
        "build lib-1", "merge lib-1", "merge tool-1", "build app-1", "merge app-1",
    ]  # fmt: skip


def test_a_rebuild_that_gives_the_same_stops_there(site: Site) -> None:
    site.build(*ALL)
    site.build(*ALL, changed="lib")
    assert site.maker.names == ["build lib-1"]
    assert site.done == [(LIB.id, "built"), (TOOL.id, "reused"), (APP.id, "reused")]


def test_the_gpkg_that_a_layer_was_first_made_from_stays_the_machines(site: Site) -> None:
    first = site.build(LIB).results[LIB.id][0]
    site.maker.noise = "the moment"
    again = site.build(LIB, changed="lib").results[LIB.id][0]
    assert site.maker.names == ["build lib-1", "merge lib-1"]
    assert site.maker.tasks[1].blobs != (first.gpkg,)
    assert again == first


def test_what_the_forecast_found_is_not_looked_up_again(site: Site) -> None:
    made = site.build(LIB).results[LIB.id][0]
    builder = site.builder(LIB, changed="lib", results={LIB.id: (made, False)})
    site.maker.tasks.clear()
    assert run(builder, LIB) == made.layer
    assert site.maker.tasks == []


@pytest.mark.parametrize("differs", [False, True])
def test_a_forced_package_is_built_anew_and_compared(site: Site, differs: bool) -> None:
    before = site.build(*ALL).results[LIB.id][0].layer
    site.maker.content[LIB.id] = "new" if differs else ""
    after = site.build(*ALL, forced=frozenset({LIB.id})).results[LIB.id][0].layer
    assert site.maker.names[:2] == ["build lib-1", "merge lib-1"]
    assert ("build app-1" in site.maker.names) is differs
    (note,) = site.notes
    assert note.startswith("c/lib-1: rebuilt: ")
    assert {before, after} == {word.strip(",") for word in note.split() if len(word) > 60}


def test_a_forced_package_that_is_new_has_nothing_to_be_compared_with(site: Site) -> None:
    site.build(LIB, forced=frozenset({LIB.id}))
    (note,) = site.notes
    assert note.startswith("c/lib-1: rebuilt: ")
    assert "no earlier build to compare with" in note


@pytest.mark.parametrize("step", ["build", "merge"])
def test_a_failure_is_told_recorded_and_tried_again(site: Site, step: str) -> None:
    if step == "merge":
        gpkg = values.blob(site.store, "c/lib-1::r ")
        builder = site.builder(LIB)
        key = builder.build_key(LIB, Seen())
        values.record(site.store, key, LIB.id, gpkg=gpkg)
    site.maker.faults[LIB.id] = "it does not compile"
    for _ in range(2):
        with pytest.raises(StepError, match="it does not compile"):
            site.build(LIB)
        (event,) = site.events
        assert isinstance(event, Done)
        assert (event.how, event.reason) == ("failed", f"{step} failed: it does not compile")
        assert event.log is not None
    failures = site.store.actions_of(f"{step}-failed", LIB.id)
    assert len({action.log for action in failures}) == len(failures) == 2
    assert [action.outputs for action in failures] == [{}, {}]
    assert (site.store.logs / (failures[0].log or "")).read_text() == f"{step} of {LIB.id}"
    site.maker.faults.clear()
    site.build(LIB)
    assert site.done == [(LIB.id, "built" if step == "build" else "reused")]


def test_what_the_system_refuses_is_the_packages_failure(site: Site) -> None:
    for number, status in ((errno.ENOSPC, Exit.HOST), (errno.EACCES, Exit.FAILED)):
        site.maker.faults[LIB.id] = OSError(number, "refused", "/some/file")
        with pytest.raises(StepError, match="keeping the result") as caught:
            site.build(LIB)
        assert caught.value.status is status
        assert site.done == [(LIB.id, "failed")]


def test_what_ends_by_an_interrupt_is_no_failure(site: Site) -> None:
    site.maker.faults[LIB.id] = "killed"
    builder = site.builder(LIB)
    builder.context.running.stop()
    with pytest.raises(StoppedError):
        run(builder, LIB)
    assert site.events == []
    assert site.store.actions_of("build-failed", LIB.id) == []
    site.maker.faults[LIB.id] = StoppedError(LIB.id, "build")
    with pytest.raises(StoppedError):
        site.build(LIB)
    assert site.events == []


def test_sources_that_are_not_here_are_named_before_anything_runs(site: Site) -> None:
    needs = replace(LIB, distfiles=(Distfile("lib.tar", 1, {"SHA512": "0" * 128}),))
    with pytest.raises(StepError, match=r"lib\.tar"):
        site.build(needs)
    assert site.maker.tasks == []


def test_a_binary_package_of_no_named_host_is_refused(site: Site) -> None:
    with pytest.raises(StepError, match="binary package host"):
        site.build(replace(LIB, binary=Binary("elsewhere", "lib.gpkg.tar", 1, {})))
    assert site.maker.tasks == []


def test_hooks_that_write_one_file_are_merged_again_once(site: Site) -> None:
    one, two = (package(name, defined_phases=("postinst",)) for name in ("one", "two"))
    site.maker.hooks = {one.id: "etc/list", two.id: "etc/list"}
    first = site.build(one, two)
    made = {name: result for name, (result, _) in first.results.items()}
    with pytest.raises(NotMergedError):
        first.layers((one.id, two.id), made, where="m", look=True)
    layers = first.layers((one.id, two.id), made, where="m")
    assert (layers[1].path / "etc/list").read_text() == "one-1 two-1 "
    assert first.composed == {layers[1].id} != {made[two.id].layer}
    (note,) = site.notes
    assert note.startswith("c/two-1 is merged again")
    assert "/etc/list" in note
    again = site.build(one, two)
    assert again.layers((one.id, two.id), made, where="m", look=True) == layers
    assert site.maker.tasks == []


def test_what_a_merge_keeps_of_a_root_of_its_own_is_in_its_key_alone(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    builder, own, over = site.builder(LIB), Seen(root=()), Seen()
    before = [builder.merge_key(LIB, "g", seen).digest for seen in (own, over)]
    build = builder.build_key(LIB, own).digest
    monkeypatch.setattr(packages, "OWN_ROOT_FORMAT", "another")
    after = [builder.merge_key(LIB, "g", seen).digest for seen in (own, over)]
    assert [old == new for old, new in zip(before, after, strict=True)] == [False, True]
    assert builder.build_key(LIB, own).digest == build
