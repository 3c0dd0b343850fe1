"""From a wish to an installed package, with a stock emerge."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from scripted import Scripted, serving
from target_root import EBUILD, Target
from tests.client.handed_out import TEXT

pytestmark = pytest.mark.real

EVENTS = [
    {"event": "planned", "packages": ["app-misc/leaf-1::gentoo", "app-misc/tool-1::gentoo"],
     "edges": {"app-misc/tool-1::gentoo": ["app-misc/leaf-1::gentoo"]}, "time": 1.0},
    {"event": "started", "package": "app-misc/leaf-1::gentoo", "step": "build", "time": 1.0},
    {"event": "done", "package": "app-misc/leaf-1::gentoo", "how": "built", "seconds": 1.0,
     "time": 2.0},
    {"event": "done", "package": "app-misc/tool-1::gentoo", "how": "built", "seconds": 1.0,
     "time": 3.0},
]  # fmt: skip


@pytest.fixture
def script(weak: Target) -> Iterator[Scripted]:
    """A service with which the target is enrolled."""
    with serving() as script:
        weak.client("enrol", "--server", script.address)
        yield script


def installed(target: Target) -> set[str]:
    return {path.name for path in (target.place / "upper/var/db/pkg").glob("*/*")}


def test_what_is_missing_is_asked_for_and_then_installed(
    weak: Target, script: Scripted, packages: Path
) -> None:
    script.events = EVENTS
    script.binhost = lambda: packages if script.requests("POST", "/wants") else None
    told = weak.client("want", "app-misc/tool")
    assert "  app-misc/leaf-1 built in 1 s\n" in told
    command = "emerge --getbinpkg --usepkgonly app-misc/tool"
    assert told.splitlines()[-1] == f"All is ready. To install: {command}"
    assert script.wanted() == [
        {"atoms": ["app-misc/tool"], "options": [],
         "packages": ["app-misc/leaf-1", "app-misc/tool-1"]}
    ]  # fmt: skip
    done = weak.run(*command.split())
    assert done.count(">>> Emerging binary") == 2
    assert installed(weak) == {"leaf-1", "tool-1"}


def test_a_category_is_found_as_emerge_does(weak: Target, script: Scripted) -> None:
    for path in ("virtual/leaf/leaf-1", "sys-libs/two/two-1", "app-misc/two/two-1"):
        weak.write(f"var/db/repos/gentoo/{path}.ebuild", EBUILD % "")
    weak.write("var/db/repos/gentoo/profiles/categories", "app-misc\nsys-libs\nvirtual\n")
    script.events = [{"event": "end", "state": "stopped"}]
    for atom in ("leaf", ">=leaf-1:0", "@world", "two"):
        weak.client("want", atom, check=False)
    expected = ["app-misc/leaf", ">=app-misc/leaf-1:0"]
    assert [each["atoms"] for each in script.wanted()] == [[atom] for atom in expected]


def test_what_is_ready_is_installed_at_once(weak: Target, script: Scripted, packages: Path) -> None:
    script.binhost = lambda: packages
    told = weak.client("want", "-e", "-1", "app-misc/tool", EMERGE_DEFAULT_OPTS="--ask")
    assert told.count(">>> Emerging binary") == 2
    assert script.requests("POST", "/wants") == []
    assert installed(weak) == {"leaf-1", "tool-1"}
    assert not (weak.place / "upper/var/lib/portage/world").exists(), "-1 is emerge's own"


def test_nothing_is_built_from_source(weak: Target, script: Scripted, packages: Path) -> None:
    weak.write("var/db/repos/gentoo/app-misc/tool/tool-2.ebuild", EBUILD % "")
    script.binhost = lambda: packages
    script.events = EVENTS[:2]
    told = weak.client("want", "--emerge", "--update", "app-misc/tool", check=False)
    assert script.wanted() == [
        {"atoms": ["app-misc/tool"], "options": ["--update"], "packages": ["app-misc/tool-2"]}
    ]
    assert ">>> Emerging (" not in told
    assert ">>> Emerging binary (2 of 2) app-misc/tool-1" in told, "the newest that is there"


def test_a_failed_build_says_why_and_where(weak: Target, script: Scripted) -> None:
    failed = {"event": "done", "package": "app-misc/leaf-1::gentoo", "how": "failed",
              "reason": "src_install failed", "lines": ["no rule \x1b[1m"]}  # fmt: skip
    script.events = [*EVENTS[:2], failed]
    told = weak.client("want", "app-misc/leaf", check=False)
    assert "  no rule \\x1b[1m\ncloche-client: app-misc/leaf-1 failed: src_install failed" in told
    log = f"{script.address}/api/v1/builds/b1/log/app-misc/leaf-1%3A%3Agentoo"
    assert f"the whole log: {log}" in told
    assert told.endswith("exit 1")
    script.events = [*EVENTS[:2], {**failed, "lines": []}]
    script.log = b"".join(b"line %d\n" % n for n in range(1000))
    told = weak.client("want", "app-misc/leaf", check=False)
    assert "  line 980\n" in told
    assert "  line 979\n" not in told
    refused = [{"cpv": "app-misc/leaf-1", "words": "install failed"},
               {"cpv": "app-misc/tool-1", "words": "dev-libs/x: none\nhere"}]  # fmt: skip
    script.events.append({"event": "end", "state": "failed", "refused": refused})
    told = weak.client("want", "app-misc/leaf", "--json", check=False)
    assert json.loads(told[: told.index("\n}") + 2])["refused"] == refused
    assert "cloche-client: app-misc/tool-1 is not built: dev-libs/x: none\n" in told
    assert "app-misc/leaf-1 is not built" not in told, "its log says more"


def test_what_was_built_and_is_not_taken_is_named(weak: Target, script: Scripted) -> None:
    script.events = EVENTS
    told = weak.client("want", "app-misc/leaf", check=False)
    assert "emerge does not take what was built, and would build app-misc/leaf-1: see" in told
    assert told.endswith("exit 1")


def test_how_a_build_ended_is_told(weak: Target, script: Scripted) -> None:
    error = {"what": "the build was stopped", "todo": "repeat it", "detail": None}
    script.events = [{"event": "end", "state": "stopped", "error": error}]
    told = weak.client("want", "app-misc/leaf", check=False)
    assert "cloche-client: the build was stopped\ncloche-client: repeat it\n" in told
    words = "masked by: package.mask"
    script.events = [{"event": "end", "state": "done", "packages": [
        {"cpv": "app-misc/leaf-1", "accepted": False, "words": words}]}]  # fmt: skip
    told = weak.client("want", "app-misc/leaf", check=False)
    assert f"app-misc/leaf-1 was built, but emerge does not take it: {words}" in told
    assert told.endswith("exit 1")


def test_packages_of_another_level_are_in_the_same_index(
    weak: Target, script: Scripted, packages: Path
) -> None:
    script.events = [{"event": "end", "state": "done"}]
    script.binhost = lambda: packages if script.requests("POST", "/wants") else None
    told = weak.client("want", "--level", "3b", "app-misc/leaf")
    command = "emerge --getbinpkg --usepkgonly app-misc/leaf"
    assert told.splitlines()[-1] == f"All is ready. To install: {command}"
    assert script.wanted()[0]["level"] == "3b"


def test_portages_own_words_are_the_answer_to_what_it_refuses(
    weak: Target, script: Scripted
) -> None:
    told = weak.client("want", "app-misc/none", check=False)
    assert 'there are no ebuilds to satisfy "app-misc/none"' in told
    assert told.endswith("exit 1")
    assert script.requests("POST", "/wants") == []


def test_a_refused_wish_is_an_answer(weak: Target, script: Scripted) -> None:
    script.refused = {"what": "quota is used up", "todo": "ask tomorrow"}
    told = weak.client("want", "app-misc/leaf", check=False)
    assert "cloche-client: the service says: quota is used up: ask tomorrow" in told
    assert told.endswith("exit 1")


def test_an_interrupt_leaves_the_build_alone(weak: Target, script: Scripted) -> None:
    """As Ctrl-C in a terminal; the build never ends."""
    script.events, script.cut_after = [*EVENTS, *EVENTS], 2
    script.endless = True
    weak.write("client.py", TEXT)
    terminal, slave = pty.openpty()
    words = weak.command("python3", "/client.py", "want", "app-misc/tool", TERM="xterm")
    child = subprocess.Popen(words, stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
    os.close(slave)
    seen, deadline = b"", time.monotonic() + 60
    while b"\xe2\x96\xb6 app-misc/leaf-1" not in seen:
        assert time.monotonic() < deadline, seen
        seen += os.read(terminal, 10_000)
    (pid,) = processes("want app-misc/tool", under=child.pid)
    os.kill(pid, signal.SIGINT)
    try:
        while True:
            seen += os.read(terminal, 10_000)
    except OSError:  # the terminal is closed
        pass
    assert child.wait(timeout=20) == 130
    assert "detached; build b1 goes on: `cloche-client status` shows it" in seen.decode()


def processes(words: str, under: int) -> list[int]:
    """The descendants of a process whose command line ends with these words."""
    found, parents = [], {under}
    for _ in range(5):
        for path in Path("/proc").glob("[0-9]*/stat"):
            try:
                pid, parent = (
                    int(path.parent.name),
                    int(path.read_text().rsplit(")")[-1].split()[1]),
                )
                line = (path.parent / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if parent in parents and pid not in parents:
                parents.add(pid)
                if line.startswith("python3") and words in line:
                    found.append(pid)
    return found
