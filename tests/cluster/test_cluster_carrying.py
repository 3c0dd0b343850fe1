"""What a worker does with an errand: takes its inputs, does it once, refuses what is not for it."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests import values
from tests.cluster.test_cluster_facts import PLAN
from tests.tasks.test_tasks_task import MERGE

from cloche.cluster import carrying
from cloche.cluster import peer as peers
from cloche.cluster.calls import Call, Calls
from cloche.cluster.carrying import Host, carry_out
from cloche.cluster.errands import Answer, Errand, encode
from cloche.cluster.facts import Facts
from cloche.cluster.giving import giving
from cloche.cluster.peer import Peer
from cloche.cluster.security import Tls
from cloche.errors import ClocheError
from cloche.store import Outcome, Store
from cloche.tasks.errors import StepError
from cloche.tasks.task import Task
from cloche.tasks.worker import Worker

SCHEDULER = "tcp://127.0.0.1:8786"


@dataclass
class Scene:
    """The plan's host and two workers, ``worker`` the one that carries out errands."""

    home: Store
    worker: Store
    other: Store
    plan: Facts
    address: str  # of the other worker
    ran: list[Task]

    def errand(self, layers: Sequence[str] = (), token: str = "t", **more: Any) -> Errand:
        gpkg = values.blob(self.home, "the package")
        none = {"base": (), "root": None, "repositories": {}, "cross": None, "interpreters": None}
        task = msgspec.structs.replace(MERGE, layers=tuple(layers), gpkg=gpkg, **none)
        fields = {"plan": self.plan, "attempt": "a", **more}
        return Errand(task, token, **fields)

    def carry_out(self, errand: Errand) -> Answer:
        return msgspec.json.decode(carry_out(encode(errand)), type=Answer)


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    calls, made, ran = Calls(), list[Peer](), list[Task]()
    call = Call("t", lambda event: None)
    calls.begin(call)
    call.sent("a")

    def peer(handlers: dict[str, peers.Handler]) -> Peer:
        made.append(Peer(SCHEDULER, Tls(), handlers))
        return made[-1]

    def run(task: Task, worker: Worker) -> Outcome:
        ran.append(task)
        assert all(worker.store.has_tree(id) for id in task.trees)
        assert all(worker.store.has_blob(id) for id in task.blobs)
        return Outcome({"layer": values.stored(worker.store, task.cpv, made="by the task").id})

    monkeypatch.setattr(carrying, "run", run)
    monkeypatch.setattr(carrying, "_hosts", [])
    monkeypatch.setattr(peers, "CONNECT", 0.5)
    monkeypatch.setattr(carrying, "_LITTLE", 0.5)
    with (
        Store.open(tmp_path / "home") as home,
        Store.open(tmp_path / "worker") as worker,
        Store.open(tmp_path / "other") as other,
    ):
        at_home = peer({**giving(home), **calls.handlers()})
        own, second = peer(giving(worker)), peer(giving(other))
        plan = msgspec.structs.replace(PLAN, peer=at_home.address)
        facts = msgspec.structs.replace(PLAN, name="one", peer=own.address)
        carrying.become(Host(Worker(worker, engine=None), own, facts))  # type: ignore[arg-type]
        yield Scene(home, worker, other, plan, second.address, ran)
        for each in made:
            each.close()


@pytest.fixture
def from_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whenever a worker has what is missing, it is taken from there."""

    def first(found: Sequence[str]) -> str:
        return found[0]

    monkeypatch.setattr(random, "choice", first)


def test_the_inputs_are_there_when_the_task_runs_and_its_outcome_is_told(scene: Scene) -> None:
    layer = values.stored(scene.home, "c/a-1", a="a")
    answer = scene.carry_out(scene.errand([layer.id]))
    assert answer.error is None
    assert answer.outcome is not None
    assert scene.worker.has_tree(answer.outcome.outputs["layer"])
    assert (answer.worker, answer.repeated) == ("one", False)
    assert len(scene.ran) == 1


def test_a_task_is_done_once_for_a_token_however_often_it_is_sent(scene: Scene) -> None:
    first = scene.carry_out(scene.errand())
    again = scene.carry_out(scene.errand())
    assert again.repeated
    assert again.outcome == first.outcome
    assert len(scene.ran) == 1
    other = scene.carry_out(scene.errand(token="another"))
    assert not other.repeated
    assert len(scene.ran) == 2


def test_a_layer_is_taken_from_another_worker_that_has_it(scene: Scene, from_workers: None) -> None:
    layer = values.stored(scene.other, "c/a-1", a="a")  # the plan's host could not give it
    errand = scene.errand([layer.id], peers={layer.id: (scene.address,)})
    assert scene.carry_out(errand).error is None
    assert scene.worker.has_tree(layer.id)


@pytest.mark.parametrize("fault", ["gone", "without it"])
def test_where_a_worker_cannot_give_it_the_plans_host_does(
    fault: str, scene: Scene, from_workers: None
) -> None:
    layer = values.stored(scene.home, "c/a-1", a="a")
    address = scene.address if fault == "without it" else "tcp://127.0.0.1:9"
    errand = scene.errand([layer.id], peers={layer.id: (address,)})
    assert scene.carry_out(errand).error is None
    assert scene.worker.has_tree(layer.id)


def test_what_nobody_has_fails_the_task(scene: Scene) -> None:
    answer = scene.carry_out(scene.errand(["0" * 64]))
    assert answer.error is not None
    assert "0000" in ClocheError.from_data(answer.error).what
    assert scene.ran == []


def test_a_failure_comes_back_with_the_name_of_its_log(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = scene.worker.logs / "c/a-1/log"

    def fail(task: Task, worker: Worker) -> Outcome:
        raise StepError(task.package, "merge", "it fails", log=str(log), phase="preinst")

    monkeypatch.setattr(carrying, "run", fail)
    answer = scene.carry_out(scene.errand())
    assert answer.error is not None
    error = ClocheError.from_data(answer.error)
    assert isinstance(error, StepError)
    assert error.phase == "preinst"
    assert answer.log == "c/a-1/log"


def test_an_errand_of_another_cloche_is_refused_with_the_reason(scene: Scene) -> None:
    plan = msgspec.structs.replace(scene.plan, version="9")
    answer = scene.carry_out(scene.errand(plan=plan))
    assert answer.error is not None
    said = ClocheError.from_data(answer.error).what
    assert said == "refused by the worker one: cloche 1.0 there, 9 here"
    assert scene.ran == []


def test_a_worker_that_is_ending_begins_nothing(scene: Scene) -> None:
    carrying.end_all(1.0)
    answer = scene.carry_out(scene.errand())
    assert answer.error is not None
    assert ClocheError.from_data(answer.error).what == "the worker is ending"
    assert scene.ran == []


def test_another_process_than_a_worker_refuses(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(carrying, "_hosts", [])
    with pytest.raises(ClocheError, match="not a worker of cloche's"):
        carry_out(encode(scene.errand()))
