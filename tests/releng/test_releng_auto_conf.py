"""catalyst-auto's configuration, as bash reads it: sets, specs, and what hooks are given."""

from __future__ import annotations

import os
import re
import threading
import time
from pathlib import Path

import pytest

from cloche.config.errors import ConfigError
from cloche.errors import ClocheError
from cloche.releng.auto_conf import AutoConf, read_auto_conf
from cloche.releng.auto_hooks import Hooks
from cloche.releng.journal import HookEnded

CONF = """\
SPECS_DIR=${REPO_DIR}/specs
source ${REPO_DIR}/common
SETS="
	first
	second
"
SET_first_SPECS="stage1.spec ${THIRD}"
SET_second_SPECS="stage1.spec"
SET_second_OPTIONAL_SPECS="sub/cd.spec stage3.spec"
echo "said while it is read"
EMAIL_SUBJECT_PREPEND="[$(echo x)-auto]"

post_build() {
	pushd "${BUILD_SRCDIR_BASE}" >/dev/null
	upload stage3-${TIMESTAMP}*.xz "$1 and $2"
	popd >/dev/null
}

pre_build() { false; }

sleeps() { sleep 60; }
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A releng checkout."""
    for name in ("specs/stage1.spec", "specs/stage3.spec", "specs/sub/cd.spec"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("target: stage1\n")
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools/catalyst-auto").touch()
    (tmp_path / "common").write_text("THIRD=stage3.spec UPLOAD_USER=larry\n")
    (tmp_path / "tools/catalyst-auto-x.conf").write_text(CONF)
    return tmp_path


def read(checkout: Path, more: str = "") -> AutoConf:
    file = checkout / "tools/catalyst-auto-x.conf"
    with file.open("a") as target:
        target.write(more)
    return read_auto_conf([file], {})


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ("exit 0\n", "bash exits before the end of this file"),
        ("exit 3\n", "bash exited with status 3"),
        ("SPECS=(stage1.spec stage3.spec)\n", "SPECS is an array"),
        ("declare -A SET_first_SPECS\n", "SET_first_SPECS is an array"),
    ],
)
def test_a_configuration_that_bash_cannot_read_to_its_end_is_an_error(
    checkout: Path, more: str, what: str
) -> None:
    with pytest.raises(ClocheError) as raised:
        read(checkout, more)
    assert what in f"{raised.value} {raised.value.detail}"


def test_variables_that_it_unsets_have_their_defaults(checkout: Path) -> None:
    conf = read(checkout, "unset CATALYST_CONFIG EMAIL_FROM\nset -u\n")
    assert conf.values["CATALYST_CONFIG"] == "/etc/catalyst/catalyst.conf"
    assert conf.values["EMAIL_FROM"].startswith("catalyst@")


def test_a_configuration_is_a_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.conf")
    with pytest.raises(ConfigError, match="not a regular file"):
        read_auto_conf([tmp_path / "x.conf"], {})


def test_sets_and_values_are_what_bash_makes_of_them(checkout: Path) -> None:
    conf = read(checkout)
    assert conf.name == "x"
    assert conf.repo_dir == checkout
    assert conf.values["EMAIL_SUBJECT_PREPEND"] == "[x-auto]"
    assert [(each.name, each.set, each.optional) for each in conf.wanted()] == [
        ("stage1.spec", "first", False),
        ("stage3.spec", "first", False),
        ("sub/cd.spec", "second", True),
    ]


def test_specs_of_this_process_do_not_count(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPECS", "sub/cd.spec")
    monkeypatch.setenv("BASH_ENV", str(checkout / "no"))
    assert "SPECS" not in read(checkout).values


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ("SET_first_SPECS=stage1.spek", "no such file: "),
        ("SET_first_SPECS=../common", "not below SPECS_DIR"),
        ("SETS=frist", "“frist” has no specs"),
        ("SPECS_DIR=/nonexistent", "not a directory"),
        ("if true; then", "syntax error"),
        ("SETS=", "names no specs"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(checkout: Path, more: str, what: str) -> None:
    with pytest.raises(ConfigError) as raised:
        read(checkout, more).wanted()
    assert what in raised.value.what
    assert re.search(r"/catalyst-auto-x\.conf:\d+$", raised.value.where or "")


def test_a_configuration_that_ends_bash_is_an_error(checkout: Path) -> None:
    with pytest.raises(ClocheError, match="status 3") as raised:
        read(checkout, "echo why >&2; exit 3\n")
    assert "why" in (raised.value.detail or "")


@pytest.fixture
def hooks(checkout: Path) -> Hooks:
    ended: list[HookEnded] = []
    environment = {"TIMESTAMP": "2026", "BUILD_SRCDIR_BASE": str(checkout), "nonetwork": "1"}
    (checkout / "stage3-2026.tar.xz").touch()
    return Hooks(read(checkout), environment, checkout, checkout, ended.append)


def test_hooks_get_catalyst_autos_variables_and_functions(hooks: Hooks) -> None:
    assert hooks("post_build", "set; touch $0", "$(touch bad)")
    assert hooks("update_symlinks")
    said = (hooks.logs / "post_build.log").read_text()
    assert (
        "would upload to larry@releng-incoming.gentoo.org:: "
        "'--' 'stage3-2026.tar.xz' 'set; touch $0 and $(touch bad)'\n"
    ) in said
    assert not (hooks.cwd / "bad").exists()
    assert not hooks("pre_build")


def test_a_hook_that_is_stopped_is_ended_with_what_it_started(hooks: Hooks) -> None:
    running = threading.Thread(target=hooks, args=("sleeps",))
    began = time.monotonic()
    running.start()
    while not (hooks.logs / "sleeps.log").exists():
        time.sleep(0.01)
    time.sleep(0.1)
    hooks.stop()
    running.join(20)
    assert not running.is_alive()
    assert time.monotonic() - began < 30
    with pytest.raises(ClocheError, match="interrupted"):
        hooks("post_build", "", "")


def test_latest_of_each_name(checkout: Path) -> None:
    conf = read(
        checkout,
        """
update_symlinks() {
	printf '%s\\n' stage3-a-20260101T000000Z.tar.xz stage3-b-20250101.tar.xz \\
		stage3-a-20260201T000000Z.tar.xz | give_latest_from_dates
	echo stage3-a-20260101T000000Z.tar.xz | convert_filename
}
""",
    )
    Hooks(conf, {}, checkout, checkout, lambda event: None)("update_symlinks")
    assert (checkout / "update_symlinks.log").read_text().splitlines()[1:] == [
        "said while it is read",
        "stage3-a-20260201T000000Z.tar.xz",
        "stage3-b-20250101.tar.xz",
        "stage3-a-latest.tar.xz",
    ]
