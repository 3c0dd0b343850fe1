"""The parts of the work that are not packages: done once for each key, told as one event each."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from cloche.build.events import Stage
from cloche.build.logs import compress_finished, found_log
from cloche.build.workshop import Workshop
from cloche.plan.keys import Key
from cloche.store import Action

Outcome = tuple[Mapping[str, str], str | None]  # outputs by name, and the log's path


def once(shop: Workshop, stage: str, key: Key, do: Callable[[], Outcome]) -> Mapping[str, str]:
    """Give the outputs of a stage ("resolve", "finish", …): remembered, or done and remembered."""
    began = time.monotonic()
    shop.bus(Stage(name=stage, state="start"))
    action = shop.store.action(key.digest)
    reused = action is not None
    if action is None:
        outputs, log = do()
        compress_finished(shop.store, f"machine/{shop.inputs.machine}")
        if log is not None:
            log = str(found_log(shop.store.logs / log).relative_to(shop.store.logs))
        action = Action(
            key=key.digest,
            kind=stage,
            name=shop.inputs.machine,
            parts=key.parts,
            outputs=outputs,
            seconds=time.monotonic() - began,
            log=log,
            created=time.time(),
        )
        shop.store.record(action)
    seconds = time.monotonic() - began
    shop.bus(Stage(name=stage, state="end", reused=reused, seconds=seconds))
    return action.outputs
