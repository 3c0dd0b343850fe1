"""Stages, the parts of a build that are not packages: run once for each key, one event each."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from cloche.building.context import BuildContext
from cloche.errors import Exit
from cloche.layers import Layer
from cloche.records.events import Stage
from cloche.records.logs import compress_finished, found_log, held_for_writing
from cloche.sandbox.base import Bind, Command, Ended, Sandbox
from cloche.sandbox.copying import written_to
from cloche.store import Key, Outcome, remember
from cloche.tasks.errors import StepError, no_room
from cloche.tasks.guestcall import LONGEST_LOG, Call, tail_of
from cloche.tasks.worker import make_directory

LINES = 15  # of a log in an error
OWN = re.compile(
    r"=== cloche: |!!! Section '[^']*' in repos\.conf has location attribute set to nonexistent"
)


def once(
    context: BuildContext, stage: str, key: Key, do: Callable[[], Outcome], detail: str = ""
) -> Mapping[str, str]:
    """Return the outputs of a stage ("resolve", "finish", …), which runs unless they are known.

    ``detail`` distinguishes stages of the same name.
    """

    def make() -> Outcome:
        outcome = do()
        path = context.store.logs / outcome.log if outcome.log else None
        compress_finished(context.store, context.inputs.log_name, path)
        if path is None:
            return outcome
        log = found_log(path)
        return replace(outcome, log=str(log.relative_to(context.store.logs)))

    began = time.monotonic()
    context.bus(Stage(name=stage, state="start", detail=detail))
    done = remember(context.store, key, context.inputs.machine, make, kind=stage)
    seconds = time.monotonic() - began
    log = str(context.store.logs / done.action.log) if done.action.log else None
    context.bus(
        Stage(
            name=stage,
            state="end",
            reused=not done.made,
            seconds=seconds,
            detail=detail,
            log=log,
        )
    )
    return done.action.outputs


def data_of(context: BuildContext, key: Key) -> Mapping[str, Any]:
    """What a stage that is done keeps besides its outputs, such as warnings for each use of it."""
    action = context.store.action(key.digest)
    return action.data if action is not None else {}


@contextmanager
def shown(context: BuildContext, stage: str) -> Iterator[None]:
    """Show the block as a stage, which is done each time."""
    began = time.monotonic()
    context.bus(Stage(name=stage, state="start"))
    yield
    context.bus(Stage(name=stage, state="end", seconds=time.monotonic() - began))


def stage_call(
    context: BuildContext,
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

    The root's writable top lies in ``workspace``. Without ``binds`` every whole repository is
    bound. ``package`` as for `Call`.
    """
    shown = context.whole_repositories() if binds is None else binds
    return Call(
        script=script,
        request={"root": context.root, **request},
        sandbox=context.sandbox(layers, upper=make_directory(workspace, "root"), binds=shown),
        workspace=workspace,
        log=log,
        environment=context.inputs.environment,
        timeout=context.policy.phase_seconds,
        package=package,
    )


def stage_command(
    context: BuildContext, stage: str, sandbox: Sandbox, command: Command, log: Path
) -> Ended:
    """Run a program of the root, which is untrusted, with its output at the end of ``log``.

    Raises StepError when the disk is nearly full or the output too long, SandboxError.
    """
    with (
        log.open("ab") as stream,
        held_for_writing(stream),
        written_to(stream, LONGEST_LOG) as outlet,
    ):
        process = context.engine.start(sandbox, command, stdout=outlet.writer, stderr=outlet.writer)
        outlet.given()
        context.running.add(process)
        try:
            while (ended := process.wait(0.5)) is None and not outlet.over:
                _check_room(context, stage)
        finally:
            process.kill()
            context.running.discard(process)
    if ended is None:
        raise stage_failed(context, stage, f"the log exceeded {LONGEST_LOG >> 20} MiB", log)
    return ended


def _check_room(context: BuildContext, stage: str) -> None:
    """Raise StepError when the disk is nearly full."""
    free, reserve = context.worker.free_bytes, context.policy.disk_reserve
    if free < reserve:
        machine = f"machine/{context.inputs.machine}"
        raise no_room(machine, stage, str(context.store.path), free, reserve)


def stage_failed(
    context: BuildContext, stage: str, text: str, log: Path, status: Exit | None = None
) -> StepError:
    """The error about a stage of a machine, with the end of its log.

    Left out are cloche's own lines there, and what Portage says of repositories that this sandbox
    does not need.
    """
    said = [line for line in tail_of(log, 2 * LINES).splitlines() if not OWN.match(line)]
    return StepError(
        f"machine/{context.inputs.machine}",
        stage,
        text,
        log=str(log),
        detail="\n".join(said[-LINES:]),
        status=status,
    )
