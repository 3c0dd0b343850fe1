"""Programs of a stage: their output, and who may put its log away."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from tests.executor import Maker, Site

from cloche.building.stages import LINES, stage_command, stage_failed
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


def test_an_error_about_a_stage_shows_no_lines_of_cloches_own(tmp_path: Path) -> None:
    log = tmp_path / "log"
    theirs = [f"line {number}" for number in range(LINES)]
    own = [
        "=== cloche: user larry:::www:Larry::",
        "!!! Section 'x' in repos.conf has location attribute set to nonexistent directory: '/x'",
    ]
    log.write_text("\n".join([theirs[0], *own, *theirs[1:], own[0]]))
    with Store.open(tmp_path / "store") as store:
        context = Site(store, Maker(store)).builder().context
        error = stage_failed(context, "finish", "it failed", log)
    assert error.detail == "\n".join(theirs)
