from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.autogen.published import Desk, repository, served


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setattr("cloche.cli.autogen.PORTAGE", tmp_path / "repos.conf")
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "PIP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with served() as index:
        yield Desk(index, repository(tmp_path / "repo"), tmp_path)
