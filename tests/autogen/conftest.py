from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.autogen.forge import Bench, served_forge
from tests.autogen.overlay import Overlay
from tests.autogen.published import Desk, repository, served


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    tools = repository(tmp_path / "tools", "tools")  # what the eclass brings itself
    for name in ("hatchling", "pytest"):
        (tools / "dev-python" / name).mkdir(parents=True)
        (tools / f"dev-python/{name}/{name}-99.ebuild").write_text("EAPI=8\n")
    conf = tmp_path / "repos.conf"
    conf.write_text(f"[tools]\nlocation = {tools}\n")
    monkeypatch.setattr("cloche.cli.autogen.PORTAGE", conf)
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "PIP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with served() as index:
        yield Desk(index, repository(tmp_path / "repo"), tmp_path)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setattr("cloche.cli.autogen.PORTAGE", tmp_path / "repos.conf")
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "GITHUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with served_forge() as forge:
        yield Bench(forge, repository(tmp_path / "repo"), tmp_path)


@pytest.fixture
def overlay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Overlay]:
    tools = repository(tmp_path / "tools", "tools")
    for name in ("hatchling", "pytest"):
        (tools / "dev-python" / name).mkdir(parents=True)
        (tools / f"dev-python/{name}/{name}-99.ebuild").write_text("EAPI=8\n")
    conf = tmp_path / "repos.conf"
    conf.write_text(f"[tools]\nlocation = {tools}\n")
    monkeypatch.setattr("cloche.cli.autogen.PORTAGE", conf)
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "PIP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("GITHUB_TOKEN", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with served() as index, served_forge() as forge:
        yield Overlay(index, forge, repository(tmp_path / "repo"), tmp_path)
