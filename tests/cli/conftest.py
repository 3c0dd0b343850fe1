"""The command line, run in the process of the test."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cloche.cli import main as entry

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run_cloche(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `cloche` with some words: its status, its output, its errors."""

    def run(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["cloche", *map(str, words)])
        try:
            entry.main()
            status = 0
        except SystemExit as end:
            status = int(end.code or 0)
        said = capsys.readouterr()
        return status, said.out, said.err

    return run
