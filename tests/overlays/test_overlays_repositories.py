"""The repositories of a Gentoo system, and how an overlay in part is told to Portage."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloche.config.errors import ConfigError
from cloche.config.project import load_project
from cloche.errors import ClocheError
from cloche.overlays.errors import OverlayError
from cloche.overlays.places import Configuration, Place, configuration, lists, of_system, top
from cloche.overlays.repositories import repos_conf

CONF = """
[DEFAULT]
main-repo = main
[main]
location = /repos/main
priority = -1000
[thicket]
location = /var/lib/overlayman/thicket
eclass-overrides = main lost
[nowhere]
sync-type = git
[../x]
location = /x
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "etc/portage/repos.conf").mkdir(parents=True)
    (tmp_path / "etc/portage/repos.conf/all.conf").write_text(CONF)
    (tmp_path / "repos/main").mkdir(parents=True)
    return tmp_path


def test_portage_is_told_all_that_repos_conf_says_of_eclasses(root: Path) -> None:
    place = of_system(root)
    assert (sorted(place.repos), place.main) == (["main", "thicket"], "main")
    text = repos_conf("thicket", place.others("thicket"), place.main)
    assert text.splitlines() == [
        "[DEFAULT]",
        "main-repo = main",
        "[main]",
        "location = /var/db/repos/main",
        "priority = -1000",
        "[thicket]",
        "location = /var/db/repos/thicket",
        "eclass-overrides = main",
        "force = eclass-overrides",
    ]
    assert "main-repo = alone" in repos_conf("alone", {}, "gentoo")


def test_overlays_are_declared_in_a_file_of_their_own(root: Path) -> None:
    place = of_system(root)
    file = root / "etc/portage/repos.conf/overlayman.conf"
    made = configuration(place, ["copse"])
    made.write()
    assert made.todo is None
    assert file.read_text().splitlines()[-3:] == [
        "[copse]",
        "location = /var/lib/overlayman/copse",
        "auto-sync = no",
    ]
    assert of_system(root).repos["copse"].path == root / "var/lib/overlayman/copse"
    configuration(place, []).write()
    assert not file.exists()


def test_what_somebody_adds_to_our_file_stays(root: Path) -> None:
    file = root / "etc/portage/repos.conf/overlayman.conf"
    place = of_system(root)
    configuration(place, ["copse", "heath"]).write()
    mine = "priority = 50\n# mine\neclass-overrides = main\n"
    file.write_text(f"{file.read_text()}{mine}\n[own]\nlocation = /srv/own\n")
    assert configuration(place, ["copse", "heath"]).texts == {}
    configuration(place, ["heath", "moor"]).write()
    text = file.read_text()
    assert "copse" not in text
    assert f"[heath]\nlocation = /var/lib/overlayman/heath\nauto-sync = no\n{mine}" in text
    assert "[own]\nlocation = /srv/own\n" in text
    assert {"heath", "moor", "own"} <= of_system(root).repos.keys()
    assert of_system(root).repos["heath"].priority == 50
    file.write_text(text.replace("/var/lib/overlayman/heath", "/elsewhere"))
    configuration(place, ["heath"]).write()
    assert of_system(root).repos["heath"].path == root / "var/lib/overlayman/heath"
    assert of_system(root).repos["heath"].priority == 50


def test_a_repos_conf_that_is_a_file_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "etc/portage").mkdir(parents=True)
    (tmp_path / "etc/portage/repos.conf").write_text(CONF)
    place = of_system(tmp_path)
    made = configuration(place, ["copse", "thicket"])
    said = made.todo
    assert made.texts == {}
    assert said is not None
    assert said.endswith("repos.conf: [copse] location = /var/lib/overlayman/copse")
    assert (tmp_path / "etc/portage/repos.conf").read_text() == CONF


def test_a_name_that_another_repository_has_is_refused(root: Path) -> None:
    place = of_system(root)
    place.check("thicket")  # it is ours
    place.check("copse")
    with pytest.raises(OverlayError, match="configured already"):
        place.check("main")


def test_no_overlay_takes_the_place_of_a_projects_list(tmp_path: Path) -> None:
    of_project = Place(lists(tmp_path, tmp_path), top(tmp_path, tmp_path), {}, "main", tmp_path)
    assert of_project.repository("copse") == tmp_path / "overlays/copse"
    with pytest.raises(OverlayError, match="cannot be called “packages”"):
        of_project.repository("packages")
    of_host = Place(lists(tmp_path, None), top(tmp_path, None), {}, "main", tmp_path)
    assert of_host.repository("packages").name == "packages"


PROJECT = '[build]\njobs = 2\n\n[repos.main]\npath = "main"\n'


def declared(top: Path, *overlays: str) -> Configuration:
    for name in ("main", "overlays/copse", "overlays/heath", "overlays/moor"):
        (top / name).mkdir(parents=True, exist_ok=True)
    project = load_project(top)
    place = Place(lists(top, top), top / "overlays", {}, "main", top, project)
    return configuration(place, overlays)


def test_a_project_declares_the_repositories_that_are_there(tmp_path: Path) -> None:
    file = tmp_path / "cloche.toml"
    file.write_text(PROJECT)
    declared(tmp_path, "copse", "heath", "moor").write()
    table = '\n[repos.{0}]\npath = "overlays/{0}"\n'
    assert file.read_text() == PROJECT + "".join(map(table.format, ("copse", "heath", "moor")))
    assert declared(tmp_path, "copse", "heath", "moor") == Configuration({})
    file.write_text(f"{file.read_text()}priority = 3\n")
    made = declared(tmp_path, "copse")
    made.write()
    left = PROJECT + table.format("copse") + table.format("moor") + "priority = 3\n"
    assert file.read_text() == left
    assert made.todo == f"remove [repos.moor] from {file}"


def test_what_another_process_has_declared_is_not_declared_again(tmp_path: Path) -> None:
    file = tmp_path / "cloche.toml"
    file.write_text(PROJECT)
    project = load_project(tmp_path)
    declared(tmp_path, "copse").write()
    place = Place(lists(tmp_path, tmp_path), tmp_path / "overlays", {}, "main", tmp_path, project)
    configuration(place, ["copse", "heath"]).write()
    assert [*load_project(tmp_path).repos] == ["main", "copse", "heath"]


def test_a_project_whose_repositories_cannot_be_added_is_told_at_once(tmp_path: Path) -> None:
    text = 'repos = { main = { path = "main" } }\n'
    (tmp_path / "cloche.toml").write_text(text)
    with pytest.raises(ConfigError, match="tables of their own"):
        declared(tmp_path, "copse")
    assert (tmp_path / "cloche.toml").read_text() == text


def test_a_repos_conf_that_cannot_be_read_is_told(root: Path) -> None:
    (root / "etc/portage/repos.conf/bad.conf").write_text("location = /x\n")
    with pytest.raises(ClocheError, match=r"bad\.conf"):
        of_system(root)
