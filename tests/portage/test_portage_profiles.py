"""@system and variables of a profile, by the files of a repository."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.values import write_files

from cloche.config.errors import ConfigError
from cloche.portage.profiles import build_atoms, system_atoms, variable
from cloche.portage.repository import Repository, found_repository


def repository(top: Path, name: str, **files: str) -> Repository:
    """A repository; ``files`` are those of its profiles, ``_`` standing for a slash."""
    inside = {f"profiles/{path.replace('_', '/')}": text for path, text in files.items()}
    write_files(top / name, {"profiles/repo_name": f"{name}\n", **inside})
    return found_repository(top / name)


def system(path: str, *repos: Repository) -> tuple[str, ...]:
    by_name: Mapping[str, Repository] = {repo.name: repo for repo in repos}
    return system_atoms(by_name, repos[0].name, path)


def test_a_profile_adds_to_its_parents_and_removes(tmp_path: Path) -> None:
    repo = repository(
        tmp_path,
        "r",
        base_packages="# the rest\n*c/a\n*>=c/b-2:0  # why\nc/no-system\n*c/c\n",
        mid_parent="../base\n",
        top_parent="../mid\n",
        top_packages="*c/d\n-*c/c\n-*c/never\n",
        bare_parent="../mid\n",
        bare_packages="-*\n*c/only\n",
    )
    assert system("base", repo) == ("c/a", ">=c/b-2:0", "c/c")
    assert system("top", repo) == ("c/a", ">=c/b-2:0", "c/d")
    assert system("bare", repo) == ("c/only",)
    assert system("nowhere", repo) == ()


def test_parents_may_be_of_other_repositories(tmp_path: Path) -> None:
    base = repository(tmp_path, "base", x_packages="*c/a\n", y_packages="*c/y\n")
    over = repository(tmp_path, "over", p_parent="base:x\n:q\ngone:x\n", q_packages="*c/b\n")
    assert system("p", over, base) == ("c/a", "c/b")


def test_parents_that_do_not_end_are_refused(tmp_path: Path) -> None:
    repo = repository(tmp_path, "r", loop_parent="../loop\n" * 2, loop_packages="*c/a\n")
    with pytest.raises(ConfigError, match="more than 1000 parents; look for a circle"):
        system("loop", repo)


def test_what_a_stage1_is_made_of_is_in_the_words_of_the_system(tmp_path: Path) -> None:
    base = repository(
        tmp_path,
        "base",
        **{"x_packages": "*>=c/one-2:0\n*c/two\nc/four\n"},
        **{"x_packages.build": "c/one # it is named\nc/two\nc/three\n"},
    )
    over = repository(
        tmp_path,
        "over",
        p_parent="base:x\n",
        p_packages="-*c/two\n*~c/four-1\n",
        **{"p_packages.build": "-c/two\nc/four\nc/one\n"},
    )
    repos = {"base": base, "over": over}
    assert build_atoms(repos, "over", "p") == (">=c/one-2:0", "c/three", "~c/four-1")
    assert build_atoms(repos, "over", "none") == ()


def test_the_last_assignment_of_a_variable_counts(tmp_path: Path) -> None:
    repo = repository(
        tmp_path,
        "r",
        **{"base_make.defaults": 'ELIBC="glibc"\nARCH=amd64 # a PC\nXARCH="x"\n'},
        **{"musl_make.defaults": "ELIBC='musl'\n"},
        musl_parent="../base\n",
    )
    repos = {"r": repo}
    assert [variable(repos, "r", "base", name) for name in ("ELIBC", "ARCH", "CHOST")] == [
        "glibc", "amd64", "",
    ]  # fmt: skip
    assert [variable(repos, "r", "musl", name) for name in ("ELIBC", "ARCH")] == ["musl", "amd64"]


def test_circles_end_and_nothing_outside_is_read(tmp_path: Path) -> None:
    write_files(tmp_path, {"outside/packages": "*c/outside\n"})
    circle = repository(
        tmp_path, "r", a_parent="../b\n../../../outside\n", b_parent="../a\n", b_packages="*c/b\n"
    )
    assert system("a", circle) == ("c/b",)
    (circle.path / "profiles/b/packages").unlink()
    (circle.path / "profiles/b/packages").symlink_to(tmp_path / "outside/packages")
    with pytest.raises(ConfigError, match="leads out of the project"):
        system("b", circle)
