"""A seed is written to the end of cloche.toml, or nothing is."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.values import seed_spec

from cloche.config.declare import check_declaration, declare_seed
from cloche.config.errors import ConfigError
from cloche.config.project import Project, SeedSpec, load_project


def project(directory: Path, text: str) -> Project:
    (directory / "cloche.toml").write_bytes(text.encode())
    return load_project(directory)


def seed(name: str = "own", path: str = "root.tar") -> SeedSpec:
    return seed_spec("tarball", name, path=path)


def test_what_is_there_stays(tmp_path: Path) -> None:
    found = project(tmp_path, "# mine\r\n[seeds.first]\r\ntype = 'debian'")
    (tmp_path / "cloche.toml").chmod(0o640)
    declare_seed(found, seed())
    text = (tmp_path / "cloche.toml").read_bytes().decode()
    assert text.startswith("# mine\r\n[seeds.first]\r\ntype = 'debian'\n\n[seeds.own]\n")
    assert load_project(tmp_path).seeds["own"].options == {"path": "root.tar"}
    assert (tmp_path / "cloche.toml").stat().st_mode & 0o777 == 0o640
    declare_seed(found, seed())  # an older reading of the file
    assert (tmp_path / "cloche.toml").read_bytes().decode() == text


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("seeds = { first = { type = 'debian' } }", seed()),
        ("[seeds.own]\ntype = 'debian'", seed()),
        ("", seed(name="../own")),
        ("", seed(path="not \udcff UTF-8")),
    ],
)
def test_what_cannot_be_declared_is_refused_first(
    tmp_path: Path, text: str, wanted: SeedSpec
) -> None:
    found = project(tmp_path, text)
    with pytest.raises(ConfigError):
        check_declaration(found, wanted)
    with pytest.raises(ConfigError):
        declare_seed(found, wanted)
    assert (tmp_path / "cloche.toml").read_text() == text
