"""Checks of workers, run by broker_driver.py in a process with threads."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import threading
from concurrent.futures import Future, wait
from pathlib import Path
from typing import Any

from broker_ground import Ground, raises, settled, still_there

from cloche.broker.calls import trees, verify
from cloche.broker.errors import BrokerError
from cloche.broker.executor import Workers
from cloche.broker.messages import Call, EncodedCall, Failed, encode
from cloche.errors import ClocheError
from cloche.probing.availability import look
from cloche.store import Store, Tree
from cloche.store.errors import DamagedIndexError, StoreError

LAYERS = ["layer 0", "layer 1", "layer 2"]


def check_a_call_reads_the_store(g: Ground) -> None:
    with Workers(2) as workers:
        found = workers.submit(trees, g.store).result()
        assert sorted(tree.label for tree in found) == LAYERS
        assert all(tree.path == g.store / "layers" / tree.id for tree in found)
    if os.geteuid() != 0:  # which is what workers are for
        error = raises(StoreError, lambda: Store.open(g.store))
        assert "cloche.broker.executor.Workers" in str(error), error


def check_callbacks_come_in_their_order_before_the_result(g: Ground) -> None:
    said: list[tuple[int, int, str]] = []
    with Workers(1) as workers:
        report = workers.submit(verify, g.store, progress=lambda *one: said.append(one)).result()
        assert (report.checked, report.problems, report.ok) == (3, (), True)
        assert [(done, of) for done, of, _ in said] == [(0, 3), (1, 3), (2, 3)]
        assert sorted(label for _, _, label in said) == LAYERS
        assert workers.submit(verify, g.store).result() == report


def check_calls_run_at_once_each_in_its_own_process(g: Ground) -> None:
    together = threading.Barrier(3, timeout=30)
    with Workers(3) as workers:

        def progress(done: int, _of: int, _label: str) -> None:
            if done == 0:
                together.wait()  # which no call passes before all have begun

        calls = [workers.submit(verify, g.store, progress=progress) for _ in range(3)]
        assert [call.result().checked for call in calls] == [3, 3, 3]
        assert len({worker.pid for worker in workers._idle}) == 3


def check_a_worker_has_engines_of_its_own(g: Ground) -> None:
    with Workers(1) as workers:
        found = workers.submit(look, "native", g.directory).result()
        assert found.there, found
        assert found.nature.title == "cloche's own namespaces and overlays"
        found = workers.submit(look, "chroot", g.directory).result()
        assert found.nature.caution


def check_an_error_keeps_its_words(g: Ground) -> None:
    place = g.fresh()
    (place / "index.sqlite").write_text("this is not a database")
    with Workers(1) as workers:
        error = workers.submit(trees, place).exception()
        assert isinstance(error, DamagedIndexError), error
        assert error.where == str(place / "index.sqlite")
        assert "cloche store recover" in str(error)
        assert error.status == 3
        assert len(workers.submit(trees, g.store).result()) == 3
        (worker,) = workers._idle
        error = workers.submit(look, "no such engine", place).exception()
        assert isinstance(error, ClocheError)
        assert error.todo
        assert [worker] == workers._idle  # an error is no reason for another process


def check_nothing_but_the_table_is_called(g: Ground) -> None:
    with Workers(1) as workers:
        raises(ValueError, lambda: workers.submit(os.getcwd))
        raises(TypeError, lambda: workers.submit(trees))  # type: ignore[call-arg]
        raises(TypeError, lambda: workers.submit(trees, object()))  # type: ignore[arg-type]
        worker = workers._take()  # the worker looks as well
        forged = EncodedCall(encode(Call("os:getcwd", {}, ())), os.getcwd, {})
        answer = worker.call(forged)
        assert isinstance(answer, Failed)
        assert "os:getcwd is not a function that workers call" in answer.error["what"]
        workers._give_back(worker)


def check_a_killed_worker_is_an_error_of_its_call(g: Ground) -> None:
    with Workers(2) as workers:
        call, worker, _ = _in_the_middle(workers, g)
        os.kill(worker, signal.SIGKILL)
        error = call.exception(30)
        assert isinstance(error, BrokerError), error
        assert error.what == f"the worker process {worker} has ended"
        assert len(workers.submit(trees, g.store).result()) == 3


def check_a_killed_broker_is_an_error_of_the_calls_in_work(g: Ground) -> None:
    with Workers(2) as workers:
        call, worker, broker = _in_the_middle(workers, g)
        os.kill(broker, signal.SIGKILL)
        assert isinstance(call.exception(30), BrokerError)
        assert settled(lambda: still_there([worker, broker])) == []
        assert len(workers.submit(trees, g.store).result()) == 3


def check_killing_the_workers_ends_calls(g: Ground) -> None:
    with Workers(1) as workers:
        call, worker, broker = _in_the_middle(workers, g)
        workers.kill_workers()
        assert isinstance(call.exception(30), BrokerError)
        assert settled(lambda: still_there([worker, broker])) == []
        assert len(workers.submit(trees, g.store).result()) == 3


def _in_the_middle(workers: Workers, g: Ground) -> tuple[Future[list[Tree]], int, int]:
    """A call that lasts, as its worker is stopped; and the processes of worker and broker."""
    workers.submit(trees, g.store).result()
    (worker,) = workers._idle
    os.kill(worker.pid, signal.SIGSTOP)
    call = workers.submit(trees, g.store)
    raises(TimeoutError, lambda: call.result(0.2))
    assert workers._broker is not None
    return call, worker.pid, workers._broker.pid


def check_a_callbacks_error_is_the_calls(g: Ground) -> None:
    def progress(done: int, _of: int, _label: str) -> None:
        raise ZeroDivisionError

    with Workers(1) as workers:
        assert isinstance(
            workers.submit(verify, g.store, progress=progress).exception(), ZeroDivisionError
        )
        assert len(workers.submit(trees, g.store).result()) == 3


def check_shutting_down_without_waiting_lets_calls_end(g: Ground) -> None:
    workers = Workers(1)
    calls = [workers.submit(verify, g.store) for _ in range(3)]
    workers.shutdown(wait=False)
    raises(RuntimeError, lambda: workers.submit(trees, g.store))
    assert wait(calls, 60).not_done == set()
    assert [call.result().checked for call in calls] == [3, 3, 3]
    assert settled(lambda: [1] if workers._broker else []) == []


def check_an_asyncio_program_calls(g: Ground) -> None:
    async def program() -> list[int]:
        with Workers(2) as workers:
            calls = [asyncio.wrap_future(workers.submit(trees, g.store)) for _ in range(4)]
            return [len(found) for found in await asyncio.gather(*calls)]

    assert asyncio.run(program()) == [3, 3, 3, 3]


def check_the_example_of_the_documentation_runs(g: Ground) -> None:
    text = (Path(__file__).parents[2] / "docs/engines.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    said: list[str] = []
    names: dict[str, Any] = {"print": lambda *words: said.append(" ".join(map(str, words)))}
    exec(code, names)
    asyncio.run(names["program"](g.root, g.store))
    assert said[0] == "[0, 1, 2]"
    assert sorted(said[1:-1]) == LAYERS
    assert said[-1] == "3 True"
