"""Steps that are done once."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from cloche.store import Outcome, Store, make_key, remember


def blob(store: Store, text: str) -> str:
    with store.workspace("test") as room:
        (room / "file").write_text(text)
        return store.add_blob(room / "file", "a text").id


@pytest.fixture
def store(tmp_path: Path):
    with Store.open(tmp_path / "store") as opened:
        yield opened


KEY = make_key("step", {"part": "1"})


def test_threads_that_want_the_same_step_do_it_once(store: Store) -> None:
    done, waited = [], []

    def make() -> Outcome:
        done.append(threading.current_thread())
        time.sleep(0.2)
        return Outcome({"text": blob(store, "made")})

    def want() -> None:
        remember(store, KEY, "it", make, waiting=lambda: waited.append(1))

    threads = [threading.Thread(target=want) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(done), len(waited)) == (1, 3)
    again = remember(store, KEY, "it", make)
    assert (again.made, again.action.parts["part"], again.action.kind) == (False, "1", "step")
    assert again.action.seconds >= 0.2


def test_a_step_that_fails_is_not_remembered(store: Store) -> None:
    def fail() -> Outcome:
        raise ValueError("no")

    for _ in range(2):
        with pytest.raises(ValueError, match="no"):
            remember(store, KEY, "it", fail)
    assert store.action(KEY.digest) is None


def test_a_step_is_done_anew_where_asked_or_where_its_output_is_gone(store: Store) -> None:
    outputs = iter(["one", "two", "three"])

    def make() -> Outcome:
        return Outcome({"text": blob(store, next(outputs))}, seconds=7.0)

    first = remember(store, KEY, "it", make).action
    anew = remember(store, KEY, "it", make, anew=True)
    assert (anew.made, anew.action.seconds) == (True, 7.0)
    assert anew.action.outputs != first.outputs
    store.blob(anew.action.outputs["text"]).path.unlink()
    assert remember(store, KEY, "it", make).made
