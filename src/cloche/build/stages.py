"""The parts of the work that are not packages: done once for each key, told as one event each."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from cloche.build.events import Stage
from cloche.build.logs import compress_finished, found_log
from cloche.build.workshop import Workshop
from cloche.store import Key, Outcome, remember


def once(shop: Workshop, stage: str, key: Key, do: Callable[[], Outcome]) -> Mapping[str, str]:
    """Give the outputs of a stage ("resolve", "finish", …): remembered, or done and remembered."""

    def make() -> Outcome:
        outcome = do()
        compress_finished(shop.store, f"machine/{shop.inputs.machine}")
        if outcome.log is None:
            return outcome
        log = found_log(shop.store.logs / outcome.log)
        return replace(outcome, log=str(log.relative_to(shop.store.logs)))

    began = time.monotonic()
    shop.bus(Stage(name=stage, state="start"))
    done = remember(shop.store, key, shop.inputs.machine, make, kind=stage)
    seconds = time.monotonic() - began
    shop.bus(Stage(name=stage, state="end", reused=not done.made, seconds=seconds))
    return done.action.outputs
