"""A `kill -9` at any moment, and two processes at once, leave a store that is whole."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from cloche.store import Action, Store, exact_digest, gc, measure, recover, verify, walk
from cloche.store.errors import StoreError


def work(store: Store, number: int) -> None:
    """All that changes a store, once."""
    with store.workspace("build") as room:
        tree = room / "tree"
        (tree / "usr").mkdir(parents=True)
        (tree / "usr/file").write_bytes(b"%d" % number * 1000)
        entries = walk(tree)
        files, size = measure(entries)
        id = hashlib.sha256(b"%d" % number).hexdigest()
        store.add_tree(
            tree, id=id, exact=exact_digest(entries), kind="k", label="l", files=files, size=size
        )
        (room / "gpkg").write_bytes(b"%d" % number)
        blob = store.add_blob(room / "gpkg", "gpkg")
    with store.lock("name"):
        outputs = {"layer": id, "gpkg": blob.id}
        store.record(Action(f"key{number}", "build", "name", {}, outputs, 1.0, None, 1.0))
        store.pin(f"pin{number % 3}", [id], [blob.id], {})


def child(task: Callable[[], object]) -> int:
    """Run a task in a child process, which ends with status 0 if the task does."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            task()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    return pid


def status(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


CRITICAL = {
    "add_tree", "_place", "add_blob", "remove", "take_away", "sweep", "_finish", "strike", "record",
    "gc", "describe", "intend", "done",
}  # fmt: skip
MAKING = {"own_index", "settle", "_back_up", "write_identity", "settle_version"}
RECOVERING = {"_swap", "write_identity", "_pin"}


def killed_at_line(task: Callable[[], object], line: int, critical: set[str] = CRITICAL) -> int:
    """Run a task in a child that kills itself before a line of the critical functions.

    ``line`` counts the lines of them that have run.
    """
    left = line

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal left
        code = frame.f_code
        if "/cloche/store/" not in code.co_filename or code.co_name not in critical:
            return None
        if event == "line":
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    def traced() -> None:
        sys.settrace(trace)
        task()

    return status(child(traced))


def assert_whole(path: Path) -> None:
    with Store.open(path) as store:
        assert verify(store).problems == ()
        for pin in store.pins():
            assert all(map(store.has, [*pin.trees, *pin.blobs]))
        assert not list(store.tmp.iterdir())


def kill_everywhere(tmp_path: Path, task: Callable[[Path], object]) -> None:
    """Kill a task at every line, each time with a store that holds a little already."""
    with Store.open(tmp_path / "before") as store:
        work(store, 1)
        work(store, 2)
        store.unpin("pin1")
    for line in range(1, 10_000):
        path = tmp_path / str(line)
        subprocess.run(["cp", "-a", tmp_path / "before", path], check=True)
        ended = killed_at_line(lambda path=path: task(path), line)  # type: ignore[misc]
        assert_whole(path)
        if ended == 0:
            return
        assert ended == -signal.SIGKILL
    pytest.fail("the task never came to its end")


def test_a_store_survives_being_killed_at_any_line_of_adding(tmp_path: Path) -> None:
    kill_everywhere(tmp_path, lambda path: work(Store.open(path), 9))


def test_a_store_survives_being_killed_at_any_line_of_collecting(tmp_path: Path) -> None:
    kill_everywhere(tmp_path, lambda path: gc(Store.open(path, exclusive=True), keep_logs=0))


def test_a_store_survives_being_killed_at_any_line_of_being_made(tmp_path: Path) -> None:
    for line in range(1, 10_000):
        path = tmp_path / str(line)
        ended = killed_at_line(lambda path=path: Store.open(path).close(), line, MAKING)  # type: ignore[misc]
        assert_whole(path)
        if ended == 0:
            return
    pytest.fail("the task never came to its end")


def test_recovering_survives_being_killed_at_any_line(tmp_path: Path) -> None:
    """And the next try gives what the first one would have given."""

    def again(path: Path) -> object:
        return recover(path, identify=lambda *_: ())

    with Store.open(tmp_path / "before") as store:
        work(store, 1)
        work(store, 2)
    (tmp_path / "before/index.sqlite").write_bytes(b"x" * 10_000)
    for line in range(1, 10_000):
        path = tmp_path / str(line)
        subprocess.run(["cp", "-a", tmp_path / "before", path], check=True)
        ended = killed_at_line(lambda path=path: again(path), line, RECOVERING)  # type: ignore[misc]
        again(path)
        assert_whole(path)
        with Store.open(path) as store:
            assert (len(store.trees()), len(store.all_blobs())) == (2, 2)
            assert [pin.name for pin in store.pins()] == ["pin1", "pin2"]
        if ended == 0:
            return
    pytest.fail("the task never came to its end")


def test_a_store_survives_workers_killed_at_random_times(tmp_path: Path) -> None:
    path = tmp_path / "store"
    dice = random.Random(1)

    def forever(start: int) -> None:
        with Store.open(path) as store:
            for number in range(start, start + 1_000_000):
                work(store, number)

    for round in range(15):
        pids = [child(lambda: forever(round * 3)), child(lambda: forever(round * 3 + 1))]  # noqa: B023
        for pid in pids:
            time.sleep(dice.uniform(0.01, 0.1))
            os.kill(pid, signal.SIGKILL)
            assert status(pid) == -signal.SIGKILL
        assert_whole(path)
    with Store.open(path) as store:
        assert store.trees()


def test_two_processes_at_once_add_the_same_things(tmp_path: Path) -> None:
    path = tmp_path / "store"

    def some() -> None:
        with Store.open(path) as store:
            for number in range(20):
                work(store, number)

    def sweeps() -> None:
        for _ in range(100):
            Store.open(path).close()

    pids = [child(task) for task in (some, some, sweeps, sweeps)]
    assert [status(pid) for pid in pids] == [0, 0, 0, 0]
    with Store.open(path) as store:
        assert len(store.trees()) == len(store.all_blobs()) == len(store.index.actions()) == 20
    assert_whole(path)


def test_a_fork_of_a_process_with_the_store_open_is_refused(tmp_path: Path) -> None:
    """SQLite would take its parent's locks for its own: it would wait, or lose what it writes."""
    path = tmp_path / "store"

    def opens() -> None:
        with pytest.raises(StoreError, match='start processes by "spawn"'):
            Store.open(path)
        Store.open(tmp_path / "another").close()

    with Store.open(path) as store:
        assert status(child(opens)) == 0
        work(store, 1)
    assert status(child(lambda: Store.open(path).close())) == 0  # when it is open no more
    assert_whole(path)


def test_another_process_leaves_a_living_workspace_alone(tmp_path: Path) -> None:
    path = tmp_path / "store"
    with Store.open(path) as store, store.workspace("build") as room:
        program = (
            f"import pathlib, cloche.store as s; s.Store.open(pathlib.Path({str(path)!r})).close()"
        )
        subprocess.run([sys.executable, "-c", program], check=True)
        assert room.exists()
        sleeper = child(lambda: time.sleep(60))  # has a copy of every descriptor
    try:
        with Store.open(path), Store.open(path).lock("x"):
            pass
        with Store.open(tmp_path / "store"):
            assert not room.exists()
    finally:
        os.kill(sleeper, signal.SIGKILL)
        status(sleeper)
