"""What goes wrong in a program that uses a session: forks, stopped threads, dead launchers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.machine import tiny
from tests.support import Store, project

BEGIN = """
import multiprocessing
import os
import signal
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

from cloche import Choices, open_session
from cloche.building.errors import BuildError
from cloche.errors import ClocheError
from cloche.session.ongoing import CallStoppedError
from cloche.tasks.elsewhere import Elsewhere, Place

home = Path("store").absolute()
forking = multiprocessing.get_context("fork")


def raised(function, *arguments, **more):
    try:
        function(*arguments, **more)
    except ClocheError as error:
        return error
    raise AssertionError("no ClocheError was raised")
"""

LEAVING = """
building = threading.Event()
threads = ThreadPoolExecutor(2)



def sink(event):
    if type(event).__name__ == "Phase":
        building.set()


with open_session("tiny", store=home, sink=sink) as s:
    child = forking.Process(target=time.sleep, args=(1000,), daemon=True)  # has all descriptors
    child.start()
    call = threads.submit(s.build, "tiny")
    assert building.wait(60)
    s.stop()
    stopped = call.exception(60)
    building.clear()
    call = threads.submit(s.build, "tiny")
    assert building.wait(60)
left = call.exception(0)  # they have ended
for error in (stopped, left):
    assert isinstance(error, CallStoppedError), repr(error)
    assert isinstance(error.__cause__, BuildError), repr(error.__cause__)
    assert error.status == 130
assert raised(s.plan, "tiny").what == "the session is closed"
assert child.is_alive()
child.kill()

place = Place(store=str(home) + "-2", engine="native", cores=2, home=str(home))
with (
    ProcessPoolExecutor(2, mp_context=forking) as pool,
    open_session("tiny", store=home, elsewhere=Elsewhere(pool, place)) as s,
):
    error = raised(s.build, "tiny", Choices(packages=("tiny/leaf",)))
assert "forked from one with this store open" in error.detail, error.detail
assert 'by "spawn"' in error.errors[0].todo, error.errors
print("all is well")
"""

HEALING = """
with open_session("tiny", store=str(home)) as s:
    s.build("tiny", output="made")
    assert Path("made/stage4.tar.xz").exists() or os.listdir("made"), "nothing is there"
    assert "/proc/x" in raised(s.build, "tiny", output="/proc/x").where
    if not os.access("/usr", os.W_OK):
        assert "/usr/x" in raised(s.build, "tiny", output="/usr/x").where

    os.kill(s.engine._engine.launcher.pid, signal.SIGKILL)  # the process can fork another one
    assert s.build("tiny", Choices(rebuild=("=tiny/leaf-1",))).built == 1
    threads = ThreadPoolExecutor(1)
    threads.submit(int).result()  # from here on it cannot
    os.kill(s.engine._engine.launcher.pid, signal.SIGKILL)
    assert threads.submit(s.build, "tiny", Choices(rebuild=("=tiny/leaf-1",))).result().built == 1
print("all is well")
"""


@pytest.mark.real
@pytest.mark.parametrize("program", [LEAVING, HEALING], ids=["leaving", "healing"])
def test_a_program(program: str, seeded: Store, fresh: Callable[[Store], Store]) -> None:
    store = fresh(seeded)
    room: Path = project(store, tiny.PROJECT).parent
    (room / "store").symlink_to(store.path)
    done = store.user.run_python(BEGIN + program, room)
    assert (done.returncode, done.stdout) == (0, "all is well\n"), done.stdout + done.stderr
