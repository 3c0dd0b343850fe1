"""Programs of a stage: their output, and who may put its log away."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from cloche.building.stages import stage_command
from cloche.records import logs
from cloche.sandbox.base import Command, Ended, Sandbox
from cloche.store import Store


def test_a_log_is_locked_while_a_program_runs(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process with a machine of this name may put its own logs away meanwhile."""
    monkeypatch.setattr(logs, "_YOUNG", 0.0)
    with Store.open(tmp_path / "store") as store:
        log = logs.new_log(store, "machine/stage3", "finish")
        held: list[bool] = []

        def wait(_: float) -> Ended:
            with log.open("rb") as file:
                held.append(logs.is_written(file))
            logs.compress_finished(store, "machine/stage3")
            held.append(log.exists())
            return Ended(status=0)

        process = SimpleNamespace(wait=wait, kill=lambda: None)
        running = SimpleNamespace(add=lambda _: None, discard=lambda _: None)
        engine = SimpleNamespace(start=lambda *_, **__: process)
        context = cast(Any, SimpleNamespace(engine=engine, running=running))
        assert stage_command(context, "finish", Sandbox(()), Command(("true",)), log).ok
        assert held == [True, True]
        logs.compress_finished(store, "machine/stage3")
        assert not log.exists()
