"""The base tree of an image: made of a tarball, once, and known to be of certain files."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from cloche.workflows.base_tree import inputs_of, is_current, lay_out, record_of

pytestmark = pytest.mark.real  # owners


def tarball(path: Path, text: bytes) -> Path:
    """A tarball with one file of another owner."""
    with tarfile.open(path, "w") as file:
        member = tarfile.TarInfo("etc/x")
        member.size, member.uid, member.gid = len(text), 250, 250
        file.addfile(member, io.BytesIO(text))
    return path


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Files of a project."""
    (tmp_path / "machines").mkdir()
    (tmp_path / "machines/image.toml").write_text("seed = 'debian'\n")
    return tmp_path


def test_it_is_made_once_of_a_tarball(project: Path) -> None:
    assert not is_current(project, {})
    one = tarball(project / "one.tar", b"one")
    assert lay_out(project, one, "id-one", {}, unpack=True)
    file = project / "base/etc/x"
    assert (file.read_bytes(), file.stat().st_uid) == (b"one", 250)
    assert is_current(project, {})
    inode = file.stat().st_ino
    assert not lay_out(project, one, "id-one", {}, unpack=True)
    assert file.stat().st_ino == inode
    assert lay_out(project, tarball(project / "two.tar", b"two"), "id-two", {}, unpack=True)
    assert file.read_bytes() == b"two"
    assert record_of(project)["tree"] == "id-two"
    assert {path.name for path in project.iterdir()} >= {"base", "base.json"}
    assert not list(project.glob(".base*"))


def test_an_ordinary_users_is_a_link_to_the_tarball(project: Path) -> None:
    (project / "out").mkdir()
    one = tarball(project / "out/one.tar", b"one")
    assert lay_out(project, one, "id-one", {}, unpack=False)
    assert (project / "base").readlink() == Path("out/one.tar")
    assert lay_out(project, one, "id-one", {}, unpack=True)
    assert (project / "base/etc/x").is_file()
    assert lay_out(project, one, "id-one", {}, unpack=False)
    assert (project / "base").is_symlink()
    assert one.is_file()


def test_other_files_make_it_stale(project: Path) -> None:
    lay_out(project, tarball(project / "one.tar", b"one"), "id-one", {}, unpack=True)
    before = inputs_of(project)
    (project / "machines/image.toml").write_text("seed = 'stage3'\n")
    assert inputs_of(project) != before
    assert not is_current(project, {})
    (project / "machines/image.toml").write_text("seed = 'debian'\n")
    assert is_current(project, {})
    (project / "base").rename(project / "gone")
    assert not is_current(project, {})
    (project / "base.json").write_text("{")
    assert record_of(project) == {}


def test_a_changed_repository_or_tree_makes_it_stale(project: Path, tmp_path: Path) -> None:
    repo = tmp_path / "repo"
    ebuild = repo / "app-misc/x/x-1.ebuild"
    ebuild.parent.mkdir(parents=True)
    ebuild.write_text("EAPI=8\n")
    (repo / ".git").mkdir()
    repos = {"own": repo}
    one = tarball(project / "one.tar", b"one")
    lay_out(project, one, "id-one", repos, unpack=True)
    assert is_current(project, repos)
    (repo / ".git/index").write_text("not of the repository")
    assert is_current(project, repos)
    assert is_current(project, {"own": repo / "gone"})  # as in mkosi's sandbox
    ebuild.write_text("EAPI=8\n# more\n")
    assert not is_current(project, repos)
    assert not lay_out(project, one, "id-one", repos, unpack=True)
    assert is_current(project, repos)

    (project / "base/etc/x").write_bytes(b"changed")
    assert not is_current(project, repos)
    assert lay_out(project, one, "id-one", repos, unpack=True)
    assert (project / "base/etc/x").read_bytes() == b"one"
