from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.autogen.forge import Bench, served_forge
from tests.autogen.overlay import Overlay
from tests.autogen.published import Desk, repository, served

PROXIES = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "PIP_PROXY")


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of this host's counts: its repositories, proxies, tokens and caches."""
    monkeypatch.setattr("cloche.cli.autogen.PORTAGE", tmp_path / "repos.conf")
    for name in (*PROXIES, "GITHUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def tools(tmp_path: Path, alone: None) -> Path:
    """A repository of the system with what the eclass brings itself."""
    place = repository(tmp_path / "tools", "tools")
    for name in ("hatchling", "pytest"):
        (place / "dev-python" / name).mkdir(parents=True)
        (place / f"dev-python/{name}/{name}-99.ebuild").write_text("EAPI=8\n")
    (tmp_path / "repos.conf").write_text(f"[tools]\nlocation = {place}\n")
    return place


@pytest.fixture
def desk(tmp_path: Path, tools: Path) -> Iterator[Desk]:
    with served() as index:
        yield Desk(index, repository(tmp_path / "repo"), tmp_path)


@pytest.fixture
def bench(tmp_path: Path, alone: None) -> Iterator[Bench]:
    with served_forge() as forge:
        yield Bench(forge, repository(tmp_path / "repo"), tmp_path)


@pytest.fixture
def overlay(tmp_path: Path, tools: Path) -> Iterator[Overlay]:
    with served() as index, served_forge() as forge:
        yield Overlay(index, forge, repository(tmp_path / "repo"), tmp_path)
