"""``[[finish]]`` of a machine's file: what it may say, and the line of what it may not."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloche.config.errors import ConfigError
from cloche.config.finish_steps import FinishStep, read_steps
from cloche.config.table import load

HEAD = "name = 1\n"


def steps(text: str, root: Path) -> tuple[FinishStep, ...]:
    file = root / "machine.toml"
    file.write_text(HEAD + text)
    return read_steps(load(file, root), root)


def test_steps_keep_the_order_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "hook.sh").write_text("#!/bin/sh\n")
    found = steps(
        """
[[finish]]
hook = "hook.sh"
environment = { WHO = "me" }
inputs = "files"

[[finish]]
files = "files"

[[finish]]
users = ["larry=wheel,audio", "cow"]

[[finish]]
hook = "hook.sh"
""",
        tmp_path,
    )
    assert [step.kind for step in found] == ["hook", "files", "users", "hook"]
    assert found[0].script == b"#!/bin/sh\n"
    assert found[0].environment == {"WHO": "me"}
    assert found[1].path == tmp_path / "files"
    assert found[2].words == ("larry=wheel,audio", "cow")
    assert found[2].origin.line == 11
    assert [step.directory for step in found[:3]] == [tmp_path / "files", tmp_path / "files", None]
    assert found[3].directory is None
    assert steps("", tmp_path) == ()


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("[[finish]]", 2, "an empty step"),
        ('[[finish]]\ngroups = ["a"]\nusers = ["b"]', 2, "“groups” and “users” in one step"),
        ('[[finish]]\nfile = "x"', 3, "unknown key “finish.file”"),
        ('[[finish]]\ngroups = ["a"]\nenvironment = {}', 4, "only a hook has “environment”"),
        ('[[finish]]\ngroups = ["a"]\ninputs = "x"', 4, "only a hook has “inputs”"),
        ('[[finish]]\nhook = "missing"', 3, "no such file: missing"),
        ('[[finish]]\nfiles = "machine.toml"', 3, "is not a directory"),
        ('[[finish]]\nfiles = ".."', 3, "is not in the project"),
        ('[[finish]]\nremove = ["usr/share"]', 3, "“usr/share” is not valid in “remove”"),
        ('[[finish]]\nremove = ["/usr/../etc"]', 3, "is not valid in “remove”"),
        ('[[finish]]\nempty = ["/"]', 3, "is not valid in “empty”"),
        ('[[finish]]\nremove = ["/./."]', 3, "is not valid in “remove”"),
        ('[[finish]]\nunmerge = ["nano"]', 3, "is not valid in “unmerge”"),
        ('[[finish]]\ngroups = ["-r"]', 3, "is not valid in “groups”"),
        ('[[finish]]\nusers = ["larry="]', 3, "is not valid in “users”"),
        ('[[finish]]\nowners = ["root /x"]', 3, "is not valid in “owners”"),
        ('[[finish]]\nservices_on = ["--now"]', 3, "is not valid in “services_on”"),
        ('finish = ["x"]', 2, "expected tables, each below a line [[finish]]"),
    ],
)
def test_what_is_wrong_has_its_line(text: str, line: int | None, what: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        steps(text, tmp_path)
    assert what in str(raised.value)
    if line:
        assert f"machine.toml:{line}:" in str(raised.value)


def test_a_hook_cannot_be_a_file_of_the_host(tmp_path: Path) -> None:
    (tmp_path / "hook").symlink_to("/etc/passwd")
    with pytest.raises(ConfigError, match="leads out of the project"):
        steps('[[finish]]\nhook = "hook"', tmp_path)
