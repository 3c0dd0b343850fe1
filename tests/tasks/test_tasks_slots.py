"""Slots of several processes: they limit all of them, and none is lost with its process."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloche.tasks.slots import FIFO, SharedSlots, shared_slots

HOLDER = """
import sys
from pathlib import Path
from cloche.tasks.slots import SharedSlots
slots = SharedSlots(Path(sys.argv[1]), lambda: False)
slots.started()
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    with shared_slots(tmp_path, 2, 4):
        yield tmp_path
    assert not (tmp_path / FIFO).exists()


def tokens(place: Path) -> int:
    fd = os.open(place / FIFO, os.O_RDWR | os.O_NONBLOCK)
    found = os.read(fd, 4096)
    os.write(fd, found)
    os.close(fd)
    return len(found)


def test_as_many_packages_start_as_there_are_slots_in_all_processes(place: Path) -> None:
    ours, theirs = (SharedSlots(place, lambda: False) for _ in range(2))
    ours.started()
    theirs.started()
    assert tokens(place) == 2
    third = threading.Thread(target=theirs.started)
    third.start()
    third.join(0.2)
    assert third.is_alive()
    ours.ended()
    third.join(5)
    assert not third.is_alive()
    theirs.ended()
    theirs.ended()
    assert tokens(place) == 4


def test_a_slot_is_free_when_its_process_is_killed(place: Path) -> None:
    words = [sys.executable, "-c", HOLDER, str(place)]
    held = [
        subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(2)
    ]
    for each in held:
        assert each.stdout is not None
        assert each.stdout.readline() == b"held\n"
    ours = SharedSlots(place, lambda: False)
    waiting = threading.Thread(target=ours.started)
    waiting.start()
    waiting.join(0.2)
    assert waiting.is_alive()
    held[0].kill()
    waiting.join(5)
    assert not waiting.is_alive()
    for each in held:
        each.kill()
        each.communicate()


def test_a_call_that_is_stopped_does_not_wait(place: Path) -> None:
    stopped: list[bool] = []
    ours = SharedSlots(place, lambda: bool(stopped))
    ours.started()
    ours.started()
    waiting = threading.Thread(target=ours.started)
    waiting.start()
    waiting.join(0.2)
    assert waiting.is_alive()
    stopped.append(True)
    waiting.join(5)
    assert not waiting.is_alive()
    for _ in range(3):
        ours.ended()
    ours.close()


def test_what_a_killed_maker_left_is_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / FIFO)
    with shared_slots(tmp_path, 1, 3):
        assert tokens(tmp_path) == 3
