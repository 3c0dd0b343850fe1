"""Logs: phases, compression, following."""

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloche.records import logs
from cloche.store import Store

TEXT = """before
=== cloche: phase unpack
u1
=== cloche: phase compile
c1
c2
=== cloche: phase install
i1
"""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "store") as store:
        yield store


def test_a_phase_is_cut_out() -> None:
    lines = TEXT.splitlines(keepends=True)
    assert list(logs.only_phase(lines, "compile")) == ["c1\n", "c2\n"]
    assert list(logs.only_phase(lines, "test")) == []
    assert logs.phases_in(lines) == ("unpack", "compile", "install")


def test_a_compressed_log_is_found_by_either_name(store: Store) -> None:
    path = logs.new_log(store, "a/b-1", "build")
    path.write_text(TEXT)
    packed = logs.compress(path)
    assert packed.name == path.name + ".gz"
    assert not path.exists()
    assert logs.found_log(path) == logs.found_log(packed) == packed
    assert "".join(logs.log_lines(path)) == TEXT
    assert logs.logs_of(store, "a/b-1") == (packed,)
    assert logs.step_name(packed) == logs.step_name(path)


def test_only_what_nobody_writes_to_is_compressed(store: Store) -> None:
    old, done, running, about_to, between = (
        logs.new_log(store, "a/b-1", "build") for _ in range(5)
    )
    for path in (old, done, running, between):
        path.write_text(TEXT)
    for path in (old, running):
        quiet(path)
    with running.open("ab") as writer, logs.held_for_writing(writer):
        logs.compress_finished(store, "a/b-1", done)
    assert [logs.found_log(path).suffix for path in (old, done)] == [".gz"] * 2
    assert running.exists()
    assert about_to.exists()
    assert between.exists()  # another process runs its next program soon
    logs.compress_finished(store, "a/b-1")
    assert logs.found_log(running).suffix == ".gz"


def quiet(path: Path) -> None:
    """Let the last line of a log be older than the time between two programs of a step."""
    before = time.time() - 60
    os.utime(path, (before, before))


def test_two_logs_of_one_second_have_two_names(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs.time, "strftime", lambda *_: "20260101-000000")
    for text in ("first", "second"):
        path = logs.new_log(store, "a/b-1", "finish")
        path.write_text(text)
        logs.put_away(store, "a/b-1", path)
    found = logs.logs_of(store, "a/b-1")
    assert ["".join(logs.log_lines(path)) for path in found] == ["first", "second"]


def test_a_log_is_followed_until_its_writer_is_gone(store: Store) -> None:
    path = logs.new_log(store, "a/b-1", "build")
    found: list[str] = []
    writer = path.open("ab", buffering=0)
    held = logs.held_for_writing(writer)
    held.__enter__()
    reader = threading.Thread(target=lambda: found.extend(logs.follow(path)))
    reader.start()
    writer.write(b"one\ntw")
    reader.join(0.5)
    assert reader.is_alive()
    writer.write(b"o\nthree \xff")
    held.__exit__(None, None, None)
    writer.close()
    reader.join(5)
    assert not reader.is_alive()
    assert found == ["one\n", "two\n", "three \ufffd"]


def test_following_what_is_done_shows_it(store: Store) -> None:
    path = logs.new_log(store, "a/b-1", "build")
    path.write_text(TEXT)
    assert "".join(logs.follow(path)) == TEXT
    assert "".join(logs.follow(logs.compress(path))) == TEXT


def test_many_may_compress_at_once(store: Store) -> None:
    for _ in range(30):
        path = logs.new_log(store, "a/b-1", "build")
        path.write_text(TEXT * 1000)
        quiet(path)
    problems: list[BaseException] = []

    def compress() -> None:
        try:
            logs.compress_finished(store, "a/b-1")
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=compress) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    found = logs.logs_of(store, "a/b-1")
    assert [path.suffix for path in found] == [".gz"] * 30
    assert all("".join(logs.log_lines(path)) == TEXT * 1000 for path in found)
    assert {path.suffix for path in found[0].parent.iterdir()} == {".gz"}
