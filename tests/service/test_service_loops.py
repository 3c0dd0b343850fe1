"""What goes on whatever happens: loops, repositories that change, builds that cannot be noted."""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from pathlib import Path

import pytest
from tests.service.serving import (
    Server,
    add_package,
    add_target,
    served,
    server_of,
    written_project,
)

from cloche.config.project import load_project
from cloche.service.loops import Loop
from cloche.service.repositories import Repositories, state_of
from cloche.service.values import Work
from cloche.targets.levels import Level


def test_a_loop_goes_on_after_any_error() -> None:
    async def run() -> None:
        seen = list[bool]()

        async def step() -> None:
            seen.append(loop.failing)
            if len(seen) in (2, 3):
                raise RecursionError

        loop = Loop("test", step, first=0.001)
        task = asyncio.create_task(loop.run())
        while len(seen) < 6:
            await asyncio.sleep(0.001)
        task.cancel()
        assert seen[:6] == [False, False, True, True, False, False]

    asyncio.run(run())


def project_with(repository: Path) -> Path:
    """A project with a repository."""
    repository.mkdir(parents=True)
    text = f'[repos.local]\npath = "{repository}"\n'
    (repository.parent / "cloche.toml").write_text(text)
    return repository.parent


def test_a_symlink_that_leads_nowhere_is_a_part_of_a_repository(tmp_path: Path) -> None:
    project = load_project(project_with(tmp_path / "repo"))
    before = state_of(project)
    (tmp_path / "repo" / "link").symlink_to("nowhere")
    after = state_of(project)
    assert after not in (before, "")
    (tmp_path / "repo" / "link").unlink()
    (tmp_path / "repo" / "link").symlink_to("elsewhere")
    assert state_of(project) != after


def test_edits_that_are_not_committed_count(tmp_path: Path) -> None:
    project = load_project(project_with(tmp_path / "repo"))
    ebuild = tmp_path / "repo" / "a.ebuild"
    ebuild.write_text("1")

    def git(*words: str) -> None:
        command = ("git", "-c", "user.name=t", "-c", "user.email=t@localhost", *words)
        subprocess.run(command, cwd=tmp_path / "repo", check=True, capture_output=True)

    git("init", "-q")
    states = [state_of(project)]
    git("add", ".")
    git("commit", "-q", "-m", "1")
    states.append(state_of(project))
    for change in (
        lambda: ebuild.write_text("2"),
        lambda: os.utime(ebuild, (5, 5)),
        lambda: (tmp_path / "repo" / "new").write_text("3"),
        lambda: (tmp_path / "repo" / "new").unlink(),
    ):
        change()
        states.append(state_of(project))
    assert states[5] == states[3]
    assert len(set(states[:5])) == 5
    git("checkout", "-q", ".")
    assert state_of(project) == states[1]


def test_repositories_that_cannot_be_read_are_as_they_were(tmp_path: Path) -> None:
    changes = list[str]()
    project = load_project(project_with(tmp_path / "repo"))
    found = Repositories(project, lambda: changes.append(found.state))
    before = found.state
    text = project.file.read_text()
    project.file.unlink()
    project.file.mkdir()
    asyncio.run(found.look())
    assert (found.state, changes) == (before, [])
    project.file.rmdir()
    project.file.write_text(f"{text}\n")
    found._next = 0.0
    asyncio.run(found.look())
    assert changes == [found.state] != [before]


@pytest.fixture
def server(tmp_path: Path) -> Server:
    """A server without a seed; it is not started."""
    return server_of(written_project(tmp_path))


def test_a_part_that_fails_again_and_again_is_bad_health(server: Server) -> None:
    with served(server):
        assert server.ask("GET", "/health").status_code == 200
        with server.database() as database:
            database._do("ALTER TABLE askers RENAME TO gone")
        end = time.monotonic() + 30
        answer = server.ask("GET", "/health")
        while "the queue" not in answer.json().get("what", ""):
            assert time.monotonic() < end
            time.sleep(0.2)
            answer = server.ask("GET", "/health")
        assert answer.status_code == 503
        with server.database() as database:
            database._do("ALTER TABLE gone RENAME TO askers")
        while server.ask("GET", "/health").status_code == 503:
            assert time.monotonic() < end
            time.sleep(0.2)


def test_a_build_that_has_no_room_for_events_fails_and_its_stream_ends(server: Server) -> None:
    target = add_target(server)
    with served(server):
        server.state.builds.rmdir()
        server.state.builds.touch()
        for _ in range(3):  # as many as there are lanes, and one more
            built = server.build(target, "app-misc/tree")
            assert built["state"] == "failed"
            assert built["error"]["what"]


def test_a_build_during_which_the_service_ended_too_often_ends_its_stream(server: Server) -> None:
    target = add_target(server)
    with server.database() as database:
        work = Work(target["digest"], Level.ABI, (), False)
        database.add_build("b" * 16, work, ("a/b",), 1e9, "")
        database.ask("b" * 16, target["id"], "none")
        for _ in range(3):
            database.start("b" * 16, "", 1e9)
    with served(server):
        for last in (None, "0", "17"):
            *_, end = server.follow(f"/api/v1/builds/{'b' * 16}/events", target["token"], last)
            assert (end["event"], end["state"]) == ("end", "failed")


def test_what_is_not_as_it_was_published_is_not_offered_any_more(server: Server) -> None:
    target = add_target(server)
    names = ("whole", "short", "gone", "replaced")
    paths = {name: server.state.pool / add_package(server, target, f"a/{name}-1") for name in names}
    paths["short"].write_bytes(b"packag")
    paths["gone"].unlink()
    paths["replaced"].unlink()
    paths["replaced"].mkdir()
    with served(server):
        assert server.index(target).keys() == {"", "a/whole-1"}
    assert [each.is_file() for each in paths.values()] == [True, False, False, False]
