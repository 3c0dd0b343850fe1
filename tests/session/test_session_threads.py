"""One session, several threads: builds at once, and a sink that hears one event at a time."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.machine import tiny
from tests.support import Store, project

PROGRAM = """
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cloche import open_session

free = threading.Lock()
heard = []


def sink(event):
    assert free.acquire(blocking=False), "two events at once"
    heard.append(type(event).__name__)
    free.release()


with (
    open_session("tiny", store=Path("store").absolute(), sink=sink) as session,
    ThreadPoolExecutor(2) as threads,
):
    first, second = threads.map(lambda _: session.build("tiny"), range(2))
assert first.layers == second.layers, (first, second)
print(first.built + second.built, first.reused + second.reused, heard.count("Finished"))
"""


@pytest.mark.real
def test_two_threads_build_one_machine(seeded: Store, fresh: Callable[[Store], Store]) -> None:
    """Each package is built by one of them, and is the other one's to take."""
    store = fresh(seeded)
    room = project(store, tiny.PROJECT).parent
    (room / "store").symlink_to(store.path)
    done = store.user.run_python(PROGRAM, room)
    assert done.returncode == 0, done.stdout + done.stderr
    number = len(tiny.PACKAGES)
    assert done.stdout.split() == [str(number), str(number), "2"]
