"""`cloche machine` of machines that are not built."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests import values
from tests.cli.conftest import Run
from tests.values import project

from cloche.cli.options import telling_of_long_stages
from cloche.config.project import load_project
from cloche.records.builds import Events, keep
from cloche.records.events import Done, Finished, Note, encode_event
from cloche.records.logs import machine_logs, new_log
from cloche.store import Store

FAILED = (
    Done(package="a/b-1::r", how="failed"),
    Finished(built=0, reused=0, failed=1, skipped=0, seconds=1.0),
)


def test_a_build_without_its_number_is_named(tmp_path: Path, run_cloche: Run) -> None:
    place = project(tmp_path / "p").root
    with Store.open(tmp_path / "store"):
        pass
    words = ("machine", "diff", "first@", "first")
    status, _, said = run_cloche("--store", tmp_path / "store", "-C", place, *words)
    assert status == 2
    assert said == (
        "cloche: “first@”: the number of the build is missing; "
        "write “first@3”, or “first” for the last build\n"
    )


def test_what_a_copy_has_of_the_other_machine_is_told(tmp_path: Path, run_cloche: Run) -> None:
    place = project(tmp_path / "p").root
    file = place / "machines/first.toml"
    file.write_text(f'hostname = "first"\n{file.read_text()}')
    status, out, said = run_cloche("-C", place, "machine", "new", "second", "--like", "first")
    assert (status, out) == (0, "machines/second.toml\n")
    assert "second.toml:1: the hostname is “first”, as in first\n" in said


def test_what_a_machine_is_besides_its_packages_is_shown(tmp_path: Path, run_cloche: Run) -> None:
    place = project(tmp_path / "p").root
    file = place / "machines/first.toml"
    (place / "web/etc").mkdir(parents=True)
    (place / "web/etc/motd").write_text("hello")
    text = file.read_text()
    said = 'hostname = "web1"\nfiles = ["web"]\n'
    more = '\n[users.larry]\ngroups = ["wheel"]\n[services]\non = ["sshd"]\n'
    more += '[permissions]\n"/etc/motd" = "0640"\n'
    file.write_text(f"{said}{text}{more}")
    with Store.open(tmp_path / "store") as store:
        graph = values.blob(store, "{}", "graph")
        (tmp_path / "events").write_bytes(b"".join(encode_event(e) + b"\n" for e in FAILED))
        where = load_project(place).place
        keep(store, where, "first", Events(tmp_path / "events", graph), count=9)
    status, out, _ = run_cloche(
        "--store", tmp_path / "store", "-C", place, "machine", "show", "first"
    )
    assert status == 0
    lines = out.splitlines()
    for line in (
        "files     1 file",
        "permissions /etc/motd  0640",
        "users     larry  groups wheel",
        "system    hostname  web1",
        "services  sshd  on",
        "last      build 1 failed, see `cloche report first`",
        "build     not built yet",
    ):
        assert line in lines


def test_the_log_of_a_machine_is_not_that_of_one_with_a_number(
    tmp_path: Path, run_cloche: Run
) -> None:
    with Store.open(tmp_path / "store") as store:
        for name in ("web", "web-2", "web-2"):  # the last one is the newest of all
            new_log(store, f"machine/{name}", "finish").write_text(f"{name}\n")
    words = ("--store", tmp_path / "store", "log")
    assert run_cloche(*words, "machine/web")[1] == "web\n"
    assert run_cloche(*words, "machine/web-2")[1] == "web-2\n"


def test_logs_of_machines_with_one_name_are_apart(tmp_path: Path, run_cloche: Run) -> None:
    places = [project(tmp_path / name).root for name in ("a", "b")]
    with Store.open(tmp_path / "store") as store:
        for each in places:
            name = machine_logs("first", load_project(each).place)
            new_log(store, name, "finish").write_text(f"{each.name}\n")
    words = ("--store", tmp_path / "store")
    for each in places:
        for name in ("first", "machine/first"):
            assert run_cloche(*words, "-C", each, "log", name)[1] == f"{each.name}\n"
    status, _, err = run_cloche(*words, "-C", tmp_path, "log", "first")
    assert status == 2
    assert "machine/first: machines of 2 projects have logs of this name; run it in" in err
    third = project(tmp_path / "c").root
    status, out, err = run_cloche(*words, "-C", third, "log", "first")
    assert (status, out) == (2, "")
    assert err.startswith("cloche: machine first has no logs; `cloche build first` ma")


def test_a_warning_of_several_machines_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    sink = telling_of_long_stages()
    for text in ("a line without effect", "a line without effect", "another"):
        sink(Note(text=text, level="warning"))
    assert capsys.readouterr().err == "warning: a line without effect\nwarning: another\n"
