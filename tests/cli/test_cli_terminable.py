"""A signal ends long work, whenever it comes."""

from __future__ import annotations

import signal
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
