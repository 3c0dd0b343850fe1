"""The parts of the work that are not packages: done once for each key, told as one event each."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cloche.build.errors import StepError
from cloche.build.events import Stage
from cloche.build.guestcall import Call, tail_of
from cloche.build.logs import compress_finished, found_log
from cloche.build.workshop import Workshop, make_directory
from cloche.engines.base import Bind
from cloche.layers import Layer
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


def stage_call(
    shop: Workshop,
    script: str,
    request: Mapping[str, Any],
    workspace: Path,
    log: Path,
    *,
    layers: Sequence[Layer] = (),
    binds: Sequence[Bind] | None = None,
    package: str | None = None,
) -> Call:
    """A call of a guest's script over the machine's base and these layers.

    Its root's written top lies in ``workspace``. Every repository is shown in full where no
    ``binds`` are given. ``package`` as for `Call`.
    """
    shown = shop.whole_repositories() if binds is None else binds
    return Call(
        script=script,
        request=request,
        sandbox=shop.sandbox(layers, upper=make_directory(workspace, "root"), binds=shown),
        workspace=workspace,
        log=log,
        environment=shop.environment(),
        timeout=shop.policy.phase_seconds,
        package=package,
    )


def stage_failed(shop: Workshop, stage: str, text: str, log: Path) -> StepError:
    """The error about a stage of a machine, with the end of its log."""
    return StepError(f"machine/{shop.inputs.machine}", stage, text, log=str(log), tail=tail_of(log))
