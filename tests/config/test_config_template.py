"""`cloche init`: a project that loads, written into nothing but an empty directory."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloche.config.errors import ConfigError
from cloche.config.project import load_project
from cloche.config.template import init, template
from cloche.errors import ClocheError, Exit
from cloche.portage.cpv import split_cpv
from cloche.portage.etc import portage_tree
from cloche.portage.repository import load_repositories
from cloche.portage.view import package_view


def test_a_new_project_loads_and_is_complete(tmp_path: Path) -> None:
    written = init(tmp_path / "new" / "project")
    project = load_project(tmp_path / "new" / "project")
    machine = project.machine("first")
    assert machine.targets == ("@basics",)
    repos = load_repositories(project, machine, {"local": project.root / "repo"})
    assert portage_tree(machine, project)
    snapshots = {name: repo.path for name, repo in repos.items()}
    for asked in machine.atoms:
        place = repos["local"].path / asked.atom
        (ebuild,) = place.glob("*.ebuild")
        cpv = split_cpv(f"{asked.atom.split('/')[0]}/{ebuild.stem}")
        assert package_view(snapshots, {"local": ()}, "local", cpv, ())
    assert set(written) == set(template())


def test_an_empty_directory_will_do(tmp_path: Path) -> None:
    init(tmp_path)
    assert (tmp_path / "cloche.toml").is_file()


@pytest.mark.parametrize("kind", ["file inside", "hidden file inside", "file", "dangling link"])
def test_what_is_there_stays_untouched(tmp_path: Path, kind: str) -> None:
    target = tmp_path / "project"
    if kind == "file":
        target.write_text("mine")
    elif kind == "dangling link":
        target.symlink_to("nowhere")
    else:
        target.mkdir()
        (target / (".x" if "hidden" in kind else "x")).write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ConfigError, match="nothing was written"):
        init(target)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ClocheError, match="cannot be written: Not a directory") as raised:
        init(tmp_path / "file" / "project")
    assert raised.value.status is Exit.HOST
