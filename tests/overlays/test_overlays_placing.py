"""A repository is replaced as a whole, or stays as it was."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cloche.config.errors import ConfigError
from cloche.errors import ClocheError, Exit
from cloche.overlays import placing
from cloche.overlays.content import File, plain
from cloche.overlays.edits import edits, in_conflict
from cloche.overlays.errors import OverlayError
from cloche.overlays.places import Place
from cloche.overlays.record import Made, Record, encoded, present, read
from cloche.overlays.source import LINK, REGULAR, Entry
from cloche.overlays.work import Plan, Prepared, check_unchanged

OLD = {"a/b/b-1.ebuild": plain("old\n"), "a/b/b-2.ebuild": File(LINK, b"b-1.ebuild")}
NEW = {"a/b/b-1.ebuild": plain("new\n"), "metadata/layout.conf": plain("masters =\n")}


def place(top: Path, files: dict[str, File]) -> Path:
    with placing.alone(top), placing.written(top, files) as new:
        placing.put(new, top / "thicket")
    return top / "thicket"


def test_a_repository_is_replaced_and_nothing_is_left_beside(tmp_path: Path) -> None:
    assert present(place(tmp_path / "top", OLD)) == OLD
    assert present(place(tmp_path / "top", NEW)) == NEW
    assert [path.name for path in (tmp_path / "top").iterdir()] == ["thicket"]
    placing.take_away(tmp_path / "top/thicket")
    assert list((tmp_path / "top").iterdir()) == []


def test_where_names_cannot_be_exchanged_they_are_renamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(placing, "exchange", refuse)
    place(tmp_path / "top", OLD)
    assert present(place(tmp_path / "top", NEW)) == NEW
    assert [path.name for path in (tmp_path / "top").iterdir()] == ["thicket"]


def test_a_failure_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = place(tmp_path / "top", OLD)

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(placing, "_to_disk", full)
    with pytest.raises(ClocheError) as error, placing.written(tmp_path / "top", NEW):
        raise AssertionError("it was written")
    assert error.value.status is Exit.HOST
    assert present(repository) == OLD
    assert [path.name for path in (tmp_path / "top").iterdir()] == ["thicket"]


def test_a_repository_that_a_killed_process_took_away_is_put_back(tmp_path: Path) -> None:
    top = tmp_path / "top"
    place(top, OLD).rename(top / ".away-thicket")
    with placing.alone(top):
        assert [path.name for path in top.iterdir()] == ["thicket"]
    assert present(top / "thicket") == OLD
    place(top, NEW)
    (top / ".away-thicket").mkdir()  # it was killed after the new one came
    with placing.alone(top):
        assert [path.name for path in top.iterdir()] == ["thicket"]
    assert present(top / "thicket") == NEW


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / "top/.new-x/tree").mkdir(parents=True)
    (tmp_path / "top/.old-y").mkdir()
    (tmp_path / "top/other").mkdir()
    with placing.alone(tmp_path / "top"):
        assert [path.name for path in (tmp_path / "top").iterdir()] == ["other"]


def record(files: dict[str, File], **origins: str) -> Record:
    made = {path: Made(file.id, ("a/b",), origins.get(path, "")) for path, file in files.items()}
    return Record(overlay="thicket", address="https://h.invalid/x", commit="0" * 40, files=made)


def test_a_lock_can_be_read_again_and_a_damaged_one_is_told(tmp_path: Path) -> None:
    made = record(OLD)
    assert read(tmp_path / "lost") is None
    repository = place(tmp_path / "top", {**OLD, "metadata/overlay.json": encoded(made)})
    assert read(repository) == made
    assert present(repository) == OLD
    for text in ("{", "[]", '{"overlay": 1}', "\udcff"):
        (repository / "metadata/overlay.json").write_bytes(text.encode(errors="surrogateescape"))
        with pytest.raises(ClocheError, match="its lock is damaged"):
            read(repository)


@pytest.mark.parametrize(
    "wrong",
    [
        {"commit": "--upload-pack=touch planted"},
        {"commit": "HEAD"},
        {"commit": "0" * 39},
        {"address": "--upload-pack=touch planted"},
        {"address": "ext::sh -c touch"},
        {"address": ""},
        {"branch": "--upload-pack=x"},
        {"branch": "a:b"},
        {"overlay": "copse"},
        {"packages": {"../x": ""}},
        {"packages": {"a/b\x1b[31m": ""}},
    ],
    ids=str,
)
def test_a_lock_of_somebody_else_is_not_believed(wrong: dict[str, Any], tmp_path: Path) -> None:
    made = msgspec.structs.replace(record(OLD), **wrong)
    repository = place(tmp_path / "top", {**OLD, "metadata/overlay.json": encoded(made)})
    with pytest.raises(ConfigError):
        read(repository)


def test_what_is_edited_while_an_update_waits_is_not_lost(tmp_path: Path) -> None:
    made = record(OLD)
    top = tmp_path / "top"
    repository = place(top, {**OLD, "metadata/overlay.json": encoded(made)})
    where = Place(tmp_path / "packages", top, {}, "main", tmp_path)
    taken = Plan((Prepared(made, NEW, made, OLD, (), ()),), ())
    for plan in (taken, Plan((), ("thicket",))):
        check_unchanged(where, plan)
    (repository / "a/b/b-1.ebuild").write_text("mine\n")
    for plan in (taken, Plan((), ("thicket",))):
        with pytest.raises(OverlayError, match=r"b-1\.ebuild"):
            check_unchanged(where, plan)
    first = Prepared(made, NEW, None, {}, (), ())
    with pytest.raises(OverlayError, match="edited meanwhile"):
        check_unchanged(where, Plan((first,), ()))


def test_a_git_directory_in_a_repository_is_not_lost(tmp_path: Path) -> None:
    made = record(OLD)
    top = tmp_path / "top"
    repository = place(top, {**OLD, "metadata/overlay.json": encoded(made)})
    where = Place(tmp_path / "packages", top, {}, "main", tmp_path)
    (repository / ".git").mkdir()
    for plan in (Plan((Prepared(made, NEW, made, OLD, (), ()),), ()), Plan((), ("thicket",))):
        with pytest.raises(ConfigError, match="move it away"):
            check_unchanged(where, plan)


def test_edits_are_what_differs_but_for_the_cache() -> None:
    cache = {"metadata/md5-cache/a/b-1": plain("x")}
    now = {"a/b/b-1.ebuild": plain("mine\n"), "a/b/mine": plain(""), **cache}
    found = [(edit.path, edit.how) for edit in edits(record(OLD), now)]
    assert found == [
        ("a/b/b-1.ebuild", "changed"),
        ("a/b/b-2.ebuild", "removed"),
        ("a/b/mine", "added"),
    ]


def entry(file: File) -> Entry:
    return Entry(*file.id.split(":"))


def test_edits_are_in_conflict_with_changes_of_the_same_file_alone() -> None:
    path, made = "a/b/b-1.ebuild", record(OLD)
    listing = {name: entry(file) for name, file in OLD.items()}
    mine = edits(made, {**OLD, path: plain("mine\n")})
    assert in_conflict(mine, made, listing) == ()
    changed = {**listing, path: entry(plain("theirs\n"))}
    assert in_conflict(mine, made, changed) == mine
    assert in_conflict(mine, made, {}) == mine  # they have removed it
    same = {**listing, path: entry(plain("mine\n"))}
    assert in_conflict(mine, made, same) == ()  # they have taken it over
    added = edits(made, {**OLD, "a/b/new": plain("mine\n")})
    assert in_conflict(added, made, listing) == ()
    theirs = {**listing, "a/b/new": Entry(REGULAR, "0" * 40)}
    assert in_conflict(added, made, theirs) == added
