"""Which builds of a machine stay recorded."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests import values

from cloche.errors import ClocheError
from cloche.records.builds import (
    Events,
    keep,
    newest_resolutions,
    recorded,
    recorded_events,
    records,
    wanted_record,
)
from cloche.records.events import (
    Bus,
    Delivered,
    Done,
    Event,
    Finished,
    Planned,
    Started,
    encode_event,
)
from cloche.records.history import MachineRun, machine_run
from cloche.store import Store, gc
from cloche.tasks.errors import StoppedError

REUSED = (Done(package="a/b-1::r", how="reused", time=7.0),)
BUILT = (
    Started(package="a/b-1::r", step="build", time=1.0),
    Done(package="a/b-1::r", how="built", time=5.0),
)


def kept(store: Store, room: Path, *builds: tuple[Event, ...]) -> None:
    """Keep these builds, two of them for good."""
    graph = room / "graph"
    graph.write_text("{}")
    depgraph = store.add_blob(graph, "graph").id
    for number, events in enumerate(builds):
        file = room / "events"
        text = b"".join(encode_event(event) + b"\n" for event in events)
        file.write_bytes(text + encode_event(Done(package=f"n/n-{number}::r", how="reused")))
        keep(store, "place", "m", Events(file, depgraph), count=2)


def numbers(store: Store) -> list[int]:
    return [record.number for record in records(store, "place", "m")]


def test_the_newest_stay_and_the_last_that_built(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store", exclusive=True) as store:
        kept(store, tmp_path, BUILT, BUILT, REUSED, REUSED, REUSED)
        assert numbers(store) == [2, 4, 5]
        blobs = len(store.all_blobs())
        gc(store)
        assert len(store.all_blobs()) == blobs - 2
        last = wanted_record(store, "place", "m", None, built=True)
        assert last.number == 2
        run = machine_run(2, recorded_events(store, last))
        assert (run.built, run.reused, run.result, run.time) == (1, 1, "unfinished", 1.0)
        assert wanted_record(store, "place", "m", None, built=False).number == 5
        assert wanted_record(store, "place", "m", 4, built=False).number == 4


def test_what_is_not_recorded_is_named(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store") as store:
        with pytest.raises(ClocheError, match="machine m: not built yet"):
            wanted_record(store, "place", "m", None, built=False)
        kept(store, tmp_path, REUSED)
        with pytest.raises(ClocheError) as caught:
            wanted_record(store, "place", "m", 7, built=False)
        assert str(caught.value) == "machine m: no build 7 is recorded; there is: 1"
        with pytest.raises(ClocheError, match="no build that built something is recorded"):
            wanted_record(store, "place", "m", None, built=True)


def test_single_packages_are_done_without_a_delivery() -> None:
    def run(how: str, *more: Event, partial: bool = False) -> MachineRun:
        done = Done(package="a/b-1::r", how=how)  # type: ignore[arg-type]
        ended = Finished(built=0, reused=0, failed=0, skipped=0, seconds=1.0)
        planned = Planned(machine="m", packages=("a/b-1::r",), partial=partial)
        return machine_run(1, (planned, done, ended, *more))

    def result(how: str, *more: Event, partial: bool = False) -> str:
        return run(how, *more, partial=partial).result

    assert run("built", partial=True).partial
    assert not run("built").partial
    assert result("built", partial=True) == "done"
    assert result("failed", partial=True) == "failed"
    assert result("built") == "failed"  # what came after the packages did not end well
    assert result("built", Delivered(packages="p", stage4=None, logs="l")) == "done"


def test_an_interrupted_build_did_not_fail() -> None:
    reason = StoppedError("a/b-1::r", "build").what
    stopped = Done(package="a/b-1::r", how="failed", reason=reason)
    failed = Done(package="a/c-1::r", how="failed", reason="build failed: make ended with 2")
    ended = Finished(built=0, reused=0, failed=1, skipped=3, seconds=1.0)
    planned = Planned(machine="m", packages=("a/b-1::r",))
    run = machine_run(1, (planned, failed, stopped, ended))
    assert (run.result, run.failed) == ("unfinished", 1)
    assert machine_run(1, (planned, failed, ended)).result == "failed"


def test_layers_of_the_newest_builds_stay(tmp_path: Path) -> None:
    def keep_one(layer: str, *, did: bool, delivered: bool = True) -> None:
        done = Done(package="a/b-1::r", how="built", layer=layer)
        started = (encode_event(BUILT[0]) + b"\n") * did
        file.write_bytes(started + encode_event(done))
        events = Events(file, depgraph, frozenset({layer, "0" * 64}), delivered=delivered)
        keep(store, "place", "m", events, count=4, kept=2)

    with Store.open(tmp_path / "store", exclusive=True) as store:
        graph, file = tmp_path / "graph", tmp_path / "events"
        graph.write_text("{}")
        depgraph = store.add_blob(graph, "graph").id
        layers = [values.stored(store, "a/b-1", name=str(each)).id for each in range(5)]
        for layer in layers[:4]:
            keep_one(layer, did=True)
            keep_one(layer, did=False)
            keep_one(layer, did=False)
        gc(store)
        assert [store.has_tree(layer) for layer in layers] == [False, False, True, True, False]
        assert numbers(store) == [1, 4, 7, 10, 12]  # those that did nothing count nowhere
        keep_one(layers[3], did=True, delivered=False)  # a failed build takes nobody's place
        gc(store)
        assert [store.has_tree(layer) for layer in layers[2:4]] == [True, True]
        assert numbers(store) == [4, 7, 10, 12, 13]  # 12 is the last one that is finished
        keep_one(layers[3], did=False)
        keep_one(layers[3], did=False)
        assert numbers(store) == [4, 7, 10, 13, 15]


def test_what_a_machine_is_besides_stays_as_long_as_its_record(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store", exclusive=True) as store:
        system, graph = values.blob(store, "the system"), values.blob(store, "{}", "graph")
        for number in range(3):
            file = tmp_path / "events"
            file.write_bytes(encode_event(REUSED[0]))
            keep(store, "p", "m", Events(file, graph, system=None if number else system), count=2)
            gc(store)
            assert store.has_blob(system) == (number < 2)
        assert [each.system for each in records(store, "p", "m")] == ["", ""]
        assert newest_resolutions(store) == (("m", graph),)


def test_what_a_machine_is_besides_is_no_resolution(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store") as store:
        system, graph = values.blob(store, "the system"), values.blob(store, "{}", "graph")
        event = Delivered(packages="p", stage4=None, logs="l", system=system)
        bus = Bus()
        with recorded(store, bus, "p", "m", count=2):
            bus(Planned(machine="m", packages=(), depgraph=graph))
            bus(event)
        assert [each.system for each in records(store, "p", "m")] == [system]
        assert newest_resolutions(store) == (("m", graph),)
