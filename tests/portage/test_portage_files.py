"""Names of packages and binary packages, repositories, /etc/portage."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

import pytest
from tests import values

from cloche.config.project import Project, load_project
from cloche.output.binhost import gpkg_path
from cloche.portage.cpv import BadNameError, split_cpv
from cloche.portage.etc import Symlink, portage_tree, write_tree
from cloche.portage.repository import (
    Repository,
    RepositoryError,
    load_repositories,
    main_repository,
    read_repository,
)
from cloche.portage.snapshot import EPOCH, fingerprint, snapshot


@pytest.mark.parametrize(
    ("text", "pn", "version", "revision", "pf"),
    [
        ("app-misc/hello-2.10", "hello", "2.10", "", "hello-2.10"),
        ("x11-libs/gtk+-3.24.41-r1", "gtk+", "3.24.41", "1", "gtk+-3.24.41-r1"),
        ("media-libs/x264-0.0.20231114", "x264", "0.0.20231114", "", "x264-0.0.20231114"),
        ("a/b-c-1-2", None, "", "", ""),
        ("a/b-c-1.0b_rc2_p3-r2", "b-c", "1.0b_rc2_p3", "2", "b-c-1.0b_rc2_p3-r2"),
        ("dev-perl/Math-BigInt-1", "Math-BigInt", "1", "", "Math-BigInt-1"),
        ("a/b", None, "", "", ""),
        ("b-1", None, "", "", ""),
    ],
)
def test_a_cpv_is_split_as_pms_says(
    text: str, pn: str | None, version: str, revision: str, pf: str
) -> None:
    if pn is None:
        with pytest.raises(BadNameError, match="CATEGORY/NAME-VERSION"):
            split_cpv(text)
        return
    cpv = split_cpv(text)
    assert (cpv.pn, cpv.version, cpv.revision, cpv.pf, str(cpv)) == (
        pn, version, revision, pf, text,
    )  # fmt: skip
    assert cpv.pr == f"r{revision or 0}"


def test_a_binary_package_lies_where_portage_looks_for_it() -> None:
    assert gpkg_path("a", "b-c", "b-c-1.2_p3-r4") == "a/b-c/b-c-1.2_p3-r4-1.gpkg.tar"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return values.project(tmp_path / "p")


def test_etc_portage_holds_the_machine_and_nothing_of_a_host(project: Project) -> None:
    tree = portage_tree(project.machine("first"), project)
    assert tree["make.profile"] == Symlink("../../var/db/repos/local/profiles/default")
    assert tree["repos.conf"] == (
        b"# Written by cloche from cloche.toml.\n[DEFAULT]\nmain-repo = local\n\n[local]\n"
        b"location = /var/db/repos/local\npriority = -1000\nauto-sync = no\n"
    )
    assert {"make.conf/00-base", "package.use/00-base/greeting", "sets/basics"} <= set(tree)
    assert "mirrors" not in tree
    assert str(project.root).encode() not in b"".join(
        content for content in tree.values() if isinstance(content, bytes)
    )


def test_without_any_make_conf_the_seeds_is_hidden_all_the_same(project: Project) -> None:
    (project.root / "portage/base/make.conf").unlink()
    assert "make.conf/00-empty" in portage_tree(project.machine("first"), project)


def test_repositories_get_priorities_in_their_order(project: Project) -> None:
    with (project.root / "cloche.toml").open("a") as file:
        file.write('\n[repos.b]\npath="b"\n[repos.a]\npath="a"\npriority=7\n[repos.gentoo]\n'
                   'path="g"\n')  # fmt: skip
    project = load_project(project.root)
    text = portage_tree(project.machine("first"), project)["repos.conf"]
    assert isinstance(text, bytes)
    lines = text.decode().splitlines()
    assert [line for line in lines if line.startswith(("[", "pri", "main"))] == [
        "[DEFAULT]", "main-repo = gentoo", "[local]", "priority = 10", "[b]", "priority = 20",
        "[a]", "priority = 7", "[gentoo]", "priority = -1000",
    ]  # fmt: skip


def test_a_written_tree_is_the_same_whoever_writes_it(project: Project, tmp_path: Path) -> None:
    old = os.umask(0o077)
    try:
        write_tree(portage_tree(project.machine("first"), project), tmp_path / "etc/portage")
    finally:
        os.umask(old)
    etc = tmp_path / "etc/portage"
    for path in (etc, *etc.rglob("*")):
        status = path.lstat()
        assert status.st_mtime == EPOCH, path
        if not path.is_symlink():
            assert stat.S_IMODE(status.st_mode) == (0o755 if path.is_dir() else 0o644), path
    assert os.getxattr(etc / "package.mask", "user.overlay.opaque") == b"y"
    assert os.getxattr(etc / "make.conf", "user.overlay.opaque") == b"y"
    # The seed's mirrors show through, so the directory itself hides nothing.
    assert "user.overlay.opaque" not in os.listxattr(etc)
    assert not (etc / "mirrors").exists()


def test_a_tree_can_be_written_without_marks(tmp_path: Path) -> None:
    write_tree({"a/b": b"x", "c": Symlink("a")}, tmp_path / "t", opaque=())
    assert (tmp_path / "t/c/b").read_bytes() == b"x"
    assert os.listxattr(tmp_path / "t/a") == []


def repositories(project: Project) -> Mapping[str, Repository]:
    """All of them, for the machine of the template."""
    places = {name: spec.path for name, spec in project.repos.items() if spec.path}
    return load_repositories(project, project.machine("first"), places)


def test_the_repositories_of_a_project_are_read(project: Project) -> None:
    repos = repositories(project)
    assert repos["local"].masters == ()
    assert repos["local"].eapi == "8"
    assert repos["local"].layout["thin-manifests"] == "true"


def edit(project: Project, name: str, text: str | None) -> None:
    path = project.root / name
    path.unlink() if text is None else path.write_text(text)


@pytest.mark.parametrize(
    ("edits", "place", "says"),
    [
        ({"repo/metadata/layout.conf": "repo-name = other\n"},
         "cloche.toml:10", "calls itself “other”"),
        ({"repo/metadata/layout.conf": None, "repo/profiles/repo_name": "\n"},
         "repo_name", "has no name"),
        ({"repo/metadata/layout.conf": "masters = gentoo\n"},
         "cloche.toml:10", "add [repos.gentoo]"),
        ({"repo/profiles/profiles.desc": None, "repo/profiles/repo_name": "local\n",
          "machines/first.toml": 'seed="debian"\nprofile="local:defualt"\nsets=["basics"]\n'},
         "first.toml:2", "did you mean “local:default”"),
        ({"machines/first.toml": 'seed="debian"\nprofile="local:xyz"\nsets=["basics"]\n'},
         "first.toml:2", "there is: default"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_repository_is_told(
    project: Project, edits: dict[str, str | None], place: str,
    says: str,
) -> None:  # fmt: skip
    for name, text in edits.items():
        edit(project, name, text)
    with pytest.raises(RepositoryError) as caught:
        repositories(load_project(project.root))
    assert str(caught.value.where).endswith(place)
    assert says in str(caught.value)


def test_a_repository_has_to_be_one(tmp_path: Path) -> None:
    with pytest.raises(RepositoryError, match="no such directory"):
        read_repository("x", tmp_path / "x")
    with pytest.raises(RepositoryError, match="no profiles/"):
        read_repository("x", tmp_path)


def test_the_main_repository_is_the_marked_one(project: Project) -> None:
    with (project.root / "cloche.toml").open("a") as file:
        file.write('\n[repos.b]\npath="b"\nmain=true\n[repos.gentoo]\npath="g"\n')
    assert main_repository(load_project(project.root).repos, "local") == "b"


def test_a_repository_without_masters_builds_on_the_main_one(project: Project) -> None:
    b = project.root / "b"
    (b / "profiles").mkdir(parents=True)
    (b / "profiles/repo_name").write_text("b\n")
    with (project.root / "cloche.toml").open("a") as file:
        file.write('\n[repos.b]\npath="b"\n')
    project = load_project(project.root)
    assert repositories(project)["b"].masters == ("local",)


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    root = tmp_path / "repo"
    (root / "a/b/files").mkdir(parents=True)
    (root / ".git").mkdir()
    (root / ".git/HEAD").write_text("x")
    (root / "a/b/b-1.ebuild").write_text("EAPI=8\n")
    (root / "a/b/b-1.ebuild~").write_text("old")
    (root / "a/b/.b-1.ebuild.swp").write_text("vim")
    (root / "a/b/files/.profile").write_text("kept")
    (root / "a/b/files/run").write_text("#!/bin/sh\n")
    (root / "a/b/files/run").chmod(0o700)
    (root / "a/b/b-2.ebuild").symlink_to("b-1.ebuild")
    (root / ".gitignore").write_text("x")
    return root


def test_a_snapshot_has_a_normal_form(repo: Path, tmp_path: Path) -> None:
    target = tmp_path / "snapshot"
    old = os.umask(0o077)
    try:
        assert snapshot(repo, target) == 4
    finally:
        os.umask(old)
    found = {str(path.relative_to(target)): path.lstat() for path in target.rglob("*")}
    assert sorted(found) == [
        "a", "a/b", "a/b/b-1.ebuild", "a/b/b-2.ebuild", "a/b/files", "a/b/files/.profile",
        "a/b/files/run",
    ]  # fmt: skip
    assert {status.st_mtime for status in found.values()} == {EPOCH}
    assert stat.S_IMODE(found["a/b/files/run"].st_mode) == 0o755
    assert stat.S_IMODE(found["a/b/b-1.ebuild"].st_mode) == 0o644
    assert stat.S_IMODE(found["a"].st_mode) == 0o755
    assert (target / "a/b/b-2.ebuild").readlink() == Path("b-1.ebuild")


@pytest.mark.parametrize("target", ["/etc/passwd", "../../../../outside", "/", "../up/../.."])
def test_a_snapshot_refuses_links_to_the_host(repo: Path, tmp_path: Path, target: str) -> None:
    (repo / "a/b/up").symlink_to("../../a")
    (repo / "a/b/files/link").symlink_to(target)
    with pytest.raises(RepositoryError, match="files/link: a symbolic link that leads out"):
        snapshot(repo, tmp_path / "s")


def test_a_snapshot_refuses_what_is_no_file(repo: Path, tmp_path: Path) -> None:
    os.mkfifo(repo / "a/pipe")
    with pytest.raises(RepositoryError, match="a/pipe: neither file"):
        snapshot(repo, tmp_path / "s")


def test_a_snapshot_refuses_unprintable_names(repo: Path, tmp_path: Path) -> None:
    (repo / "a/b/files/x\x1b[0m").write_text("")
    with pytest.raises(RepositoryError, match="not printable"):
        snapshot(repo, tmp_path / "s")


def test_a_missing_repository_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RepositoryError, match="cannot be read"):
        fingerprint(tmp_path / "none")


def test_the_fingerprint_sees_every_change_and_no_other(repo: Path) -> None:
    first = fingerprint(repo)
    assert fingerprint(repo) == first
    (repo / ".git/HEAD").write_text("y")
    (repo / "a/b/b-1.ebuild~").write_text("older")
    file = repo / "a/b/b-1.ebuild"
    status = file.stat()
    assert fingerprint(repo) == first
    # The same size and the same mtime, put back by hand: ctime tells.
    file.write_text("EAPI=7\n")
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    second = fingerprint(repo)
    assert second != first
    (repo / "a/empty").mkdir()
    assert fingerprint(repo) not in (first, second)
