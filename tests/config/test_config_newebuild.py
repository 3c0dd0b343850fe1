"""`cloche ebuild new` writes an ebuild, its metadata.xml and its category, and nothing over."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloche.config.errors import ConfigError
from cloche.config.newebuild import new_ebuild


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    """A repository with one category, whose file does not end in a newline."""
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles/categories").write_text("app-misc")
    return tmp_path


def test_the_first_ebuild_brings_what_it_needs(repo: Path) -> None:
    uri = "https://example.org/foo-bar-1.2_rc1.tar.gz"
    made = new_ebuild(repo, "dev-libs/foo-bar-1.2_rc1-r1", [uri], "MIT")
    assert [path.relative_to(repo).as_posix() for path in made] == [
        "dev-libs/foo-bar/foo-bar-1.2_rc1-r1.ebuild",
        "dev-libs/foo-bar/metadata.xml",
        "profiles/categories",
    ]
    assert f'SRC_URI="{uri}"' in made[0].read_text()
    assert made[2].read_text() == "app-misc\ndev-libs\n"
    again = new_ebuild(repo, "dev-libs/foo-bar", [], "MIT")
    assert [path.name for path in again] == ["foo-bar-1.ebuild"]


@pytest.mark.parametrize("name", ["foo", "../etc/foo-1", "a/b/c-1", "app-misc/-x", "app-misc/a b"])
def test_what_is_not_a_package_is_refused(repo: Path, name: str) -> None:
    with pytest.raises(ConfigError):
        new_ebuild(repo, name, [], "MIT")
    assert [path.name for path in repo.iterdir()] == ["profiles"]


def test_nothing_is_overwritten_and_no_link_followed(repo: Path, tmp_path: Path) -> None:
    new_ebuild(repo, "app-misc/a-1", [], "MIT")
    (repo / "app-link").symlink_to(tmp_path)
    for name, uris in (("app-misc/a-1", []), ("app-link/b-1", []), ("app-misc/c-1", ['x"$(y)'])):
        with pytest.raises(ConfigError):
            new_ebuild(repo, name, uris, "MIT")
