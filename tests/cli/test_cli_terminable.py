"""A signal ends long work, whenever it comes."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from cloche.cli.terminable import terminable


class Late:
    """Something in whose destructor a signal comes."""

    def __del__(self) -> None:
        signal.raise_signal(signal.SIGTERM)


def hit(number: signal.Signals) -> None:
    with terminable():
        signal.raise_signal(number)
        time.sleep(20)


def hit_in_a_destructor() -> None:
    with terminable():
        late = Late()
        del late
        time.sleep(20)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it(number: signal.Signals) -> None:
    with pytest.raises(KeyboardInterrupt):
        hit(number)


def test_a_signal_in_a_destructor_is_not_lost() -> None:
    before = signal.getsignal(signal.SIGALRM)
    with pytest.raises(KeyboardInterrupt):
        hit_in_a_destructor()
    assert signal.getsignal(signal.SIGALRM) == before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def wait_while_another_thread_is_hit() -> None:
    """As if the signal came just before the read: this thread's is not interrupted by it."""
    reader, _writer = os.pipe()

    def hit_this_one() -> None:
        time.sleep(0.2)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)

    with terminable():
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        thread = threading.Thread(target=hit_this_one)
        thread.start()
        try:
            os.read(reader, 1)
        finally:
            thread.join()
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])


def test_a_signal_that_wakes_nobody_up_is_not_lost() -> None:
    with pytest.raises(KeyboardInterrupt):
        wait_while_another_thread_is_hit()
