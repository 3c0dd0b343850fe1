"""What `cloche init` writes, with the user's repositories and a profile of one."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.values import write_files

from cloche.config.project import load_project
from cloche.config.template import template
from cloche.errors import ClocheError, Exit
from cloche.session.starting import start

SYSTEM = "*>=sys-apps/baselayout-2\n*virtual/libc\n"


def repository(top: Path, name: str = "gentoo", packages: str = SYSTEM, **more: str) -> Path:
    """A repository with the profile ``p``, a C library and baselayout."""
    files = {
        "profiles/repo_name": name,
        "profiles/p/packages": packages,
        "sys-libs/musl/musl-1.ebuild": "",
        "sys-apps/baselayout/baselayout-2.ebuild": "",
        "metadata/layout.conf": "masters =",
    }
    write_files(top / name, {**files, **more})
    return top / name


def test_without_repositories_it_is_the_template(tmp_path: Path) -> None:
    started = start(tmp_path / "p", (), None)
    assert (started.root, started.why) == ("seed", "@system of local:default is empty")
    machine = load_project(tmp_path / "p").machine("first")
    assert (machine.own_root, machine.profile.repo, machine.sets) == (False, "local", ("basics",))
    written = {
        str(p.relative_to(tmp_path / "p")) for p in (tmp_path / "p").rglob("*") if p.is_file()
    }
    assert written == set(template())
    assert (
        f'# Here: {started.why}.\nroot = "seed"\n'
        in (tmp_path / "p/machines/first.toml").read_text()
    )


@pytest.mark.parametrize("packages", [SYSTEM, SYSTEM.replace("virtual/libc", "sys-libs/musl")])
def test_a_profile_with_a_c_library_and_baselayout_gets_a_root_of_its_own(
    tmp_path: Path, packages: str
) -> None:
    repo = repository(tmp_path, packages=packages)
    started = start(tmp_path / "p", (repo,), "gentoo:p")
    assert started.root == "own"
    assert started.why == "@system of gentoo:p has a C library and sys-apps/baselayout"
    project = load_project(tmp_path / "p")
    assert project.repos["gentoo"].path == repo
    machine = project.machine("first")
    assert machine.own_root
    assert (machine.profile.repo, machine.profile.path) == ("gentoo", "p")
    assert machine.sets == ("basics", "system")


@pytest.mark.parametrize(
    ("packages", "missing", "why"),
    [
        ("*virtual/libc\n", "", "no sys-apps/baselayout"),
        ("*sys-apps/baselayout\n", "", "no C library"),
        ("", "", "no C library and no sys-apps/baselayout"),
        (SYSTEM, "sys-libs/musl", "no C library"),
        (SYSTEM, "sys-apps/baselayout", "no sys-apps/baselayout"),
    ],
)
def test_one_that_lacks_them_does_not(
    tmp_path: Path, packages: str, missing: str, why: str
) -> None:
    repo = repository(tmp_path, packages=packages)
    if missing:
        (repo / missing).rename(tmp_path / "away")
    started = start(tmp_path / "p", (repo,), "gentoo:p")
    assert (started.root, started.why) == ("seed", f"@system of gentoo:p has {why}")
    machine = load_project(tmp_path / "p").machine("first")
    assert not machine.own_root
    assert (machine.profile.repo, machine.sets) == ("gentoo", ("basics",))


@pytest.mark.parametrize(
    ("defaults", "why"),
    [
        ('ELIBC="musl"', "gentoo:p is for musl, and the seed's compiler for glibc"),
        ('ARCH="sparc"', "gentoo:p is for sparc, and the seed for "),
    ],
)
def test_the_seed_must_be_able_to_build_for_it(tmp_path: Path, defaults: str, why: str) -> None:
    repo = repository(tmp_path, **{"profiles/p/make.defaults": f"{defaults}\n"})
    started = start(tmp_path / "p", (repo,), "gentoo:p")
    assert started.root == "seed"
    assert started.why.startswith(why)


@pytest.mark.parametrize(
    ("profile", "said"),
    [
        ("p", "“p” is not a profile; write REPO:PATH"),
        ("other:p", "no repository is called “other”"),
        ("gentoo:q", "repository “gentoo” has no profile “q”"),
    ],
)
def test_a_profile_that_is_not_there_is_refused(tmp_path: Path, profile: str, said: str) -> None:
    with pytest.raises(ClocheError) as caught:
        start(tmp_path / "p", (repository(tmp_path),), profile)
    assert said in str(caught.value)
    assert caught.value.status == Exit.BAD_INPUT
    assert not (tmp_path / "p").exists()


def test_repositories_need_their_masters_and_names_of_their_own(tmp_path: Path) -> None:
    repo = repository(tmp_path)
    below = repository(tmp_path, "below", **{"metadata/layout.conf": "masters = gentoo"})
    with pytest.raises(ClocheError, match="its master “gentoo” is not given"):
        start(tmp_path / "p", (below,), None)
    with pytest.raises(ClocheError, match="another repository is called “gentoo”"):
        start(tmp_path / "p", (repo, repo), None)
    with pytest.raises(ClocheError, match="another repository is called “local”"):
        start(tmp_path / "p", (repository(tmp_path, "local"),), None)
    with pytest.raises(ClocheError, match="no such directory"):
        start(tmp_path / "p", (tmp_path / "gone",), None)
    assert not (tmp_path / "p").exists()
    start(tmp_path / "p", (below, repo), None)
    assert set(load_project(tmp_path / "p").repos) == {"local", "below", "gentoo"}
