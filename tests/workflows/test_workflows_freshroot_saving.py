"""What becomes of a kept freshroot's /etc/portage, without one."""

from __future__ import annotations

import tomllib

import pytest
from tests.machine.tiny import PROJECT

from cloche.config.project import load_project
from cloche.workflows.freshroot import ground
from cloche.workflows.freshroot_changes import LINK
from cloche.workflows.freshroot_saving import Saved, saved


def save(etc: dict[str, bytes | None]) -> Saved:
    project = load_project(PROJECT)
    return saved(project, ground(project, "tiny"), "second", ("tiny/one",), etc)


@pytest.mark.parametrize(
    "target", ["../../var/db/repos/tiny/profiles/a/b", "/var/db/repos/tiny/profiles/a//b/"]
)
def test_a_profile_of_a_repository_is_the_machines(target: str) -> None:
    done = save({"make.profile": LINK + target.encode()})
    (content,) = done.files.values()
    assert tomllib.loads(content.decode())["profile"] == "tiny:a/b"
    assert done.left == ()


@pytest.mark.parametrize(
    "target",
    ["/var/db/repos/none/profiles/a", "../profile", "../../var/db/repos/tiny", "/a/profiles/b"],
)
def test_a_profile_of_none_is_told(target: str) -> None:
    done = save({"make.profile": LINK + target.encode(), "package.use/x": b"a/b c\n"})
    content, _ = done.files.values()
    assert tomllib.loads(content.decode())["profile"] == "tiny:default"
    (line,) = done.left
    assert line.startswith("/etc/portage/make.profile: it is not a profile of a repository")


def test_a_profile_of_files_is_told() -> None:
    done = save({"make.profile/parent": b"/x\n", "make.profile": None})
    assert len(done.left) == 2
