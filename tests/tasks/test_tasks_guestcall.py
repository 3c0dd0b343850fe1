"""Calls of guest scripts: stopping them, all or those of one package; why one was killed."""

from cloche.sandbox.base import Ended, Limits
from cloche.tasks.guestcall import Running, perhaps_memory


class Process:
    def __init__(self):
        self.killed = 0

    def wait(self, timeout=None):
        return None

    def kill(self):
        self.killed += 1


def test_stopping_a_package_ends_its_processes_now_and_later_and_no_others():
    running = Running()
    mine, other, nobodys = Process(), Process(), Process()
    running.add(mine, "a/b-1::r")
    running.add(other, "a/c-1::r")
    running.add(nobodys)
    running.stop_package("a/b-1::r")
    assert (mine.killed, other.killed, nobodys.killed) == (1, 0, 0)
    assert running.unwanted("a/b-1::r")
    assert not running.unwanted("a/c-1::r")
    assert not running.unwanted(None)
    assert not running.stopped
    later = Process()
    running.add(later, "a/b-1::r")
    assert later.killed == 1


def test_stopping_all_ends_everything_that_is_left():
    running = Running()
    gone, here, later = Process(), Process(), Process()
    running.add(gone)
    running.discard(gone)
    running.add(here, "a/b-1::r")
    running.stop()
    running.add(later)
    assert (gone.killed, here.killed, later.killed) == (0, 1, 1)


def test_what_was_killed_under_a_limit_names_it():
    limits = Limits(memory=64 << 20)
    assert "[limits] memory allows (64 MiB)" in perhaps_memory(Ended(137), limits)
    assert "[limits] memory" in perhaps_memory(Ended(137, killed=True), limits)
    assert perhaps_memory(Ended(137, timed_out=True), limits) == ""
    assert perhaps_memory(Ended(1), limits) == ""
    assert perhaps_memory(Ended(137), Limits()) == ""
