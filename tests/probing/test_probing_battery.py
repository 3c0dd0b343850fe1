"""The battery: native hides all that is planted outside, and nothing is overlooked without it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from tests.support import User, cannot

from cloche.engines.choice import NAMES
from cloche.linux.traces import can_read_kernel_log
from cloche.probing.battery import CLAIMS, QUESTIONS, Answer, Costs, Probed, Question, median
from cloche.probing.roots import given_root, host_root
from cloche.probing.traps import has_vsock
from cloche.sandbox.errors import HostError

# What a sandbox of native's shows, and what it refuses: docs/architecture.md says so, too.
SHOWS = {"kernel", "mount-paths"}
REFUSED = {"network-sandbox", "ipc-sandbox", "pid-sandbox", "mount-sandbox", "mknod"}


def cannot_tell(question: str, user: User) -> bool:
    """Whether this host, or this user, has nothing of a kind that could show."""
    if question == "disk":
        return os.major(Path("/").stat().st_dev) == 0
    if question == "interfaces":
        addresses = (p.read_text().strip() for p in Path("/sys/class/net").glob("*/address"))
        return not any(address.strip("0:") for address in addresses)
    if question == "kernel-log":
        restricted = Path("/proc/sys/kernel/dmesg_restrict").read_text().strip() != "0"
        return not can_read_kernel_log() or (restricted and user.name != "root")
    return question == "vsock" and not has_vsock()


real = pytest.mark.real
Told = dict[str, dict[str, str]]


@pytest.fixture(scope="module", params=["root", "ordinary"])
def user(request: pytest.FixtureRequest) -> User:
    found: User = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="module")
def every(user: User) -> dict[str, dict[str, Any]]:
    """What all engines say of themselves, with the answers of those that start at once."""
    words = ("engines", *(name for name in NAMES if name != "qemu"), "--probe", "--json")
    done = user.run(*words, "--rounds", "0", "--store", user.home / "engines-store")
    told = json.loads(done.stdout)
    answers = {each["engine"]: each for each in told["probed"]}
    return {each["name"]: each | answers.get(each["name"], {}) for each in told["engines"]}


@pytest.fixture(scope="module")
def probed(user: User) -> dict[str, Told]:
    """The answers of native and chroot, in an empty store: in the host's own programs."""
    store = user.home / "engines-store"
    words = ("engines", "native", "chroot", "--probe", "--json", "--rounds", "1")
    told = json.loads(user.run(*words, "--store", store, check=True).stdout)
    assert told["root"].startswith("the host's /usr")
    assert [each["error"] for each in told["probed"]] == [None, None]
    for each in told["probed"]:
        assert all(each["costs"][name] > 0 for name in ("start", "file", "process"))
    return {
        each["engine"]: {answer["question"]: answer for answer in each["answers"]}
        for each in told["probed"]
    }


@pytest.fixture(scope="module")
def without(user: User) -> dict[str, Any]:
    """The same attempts where nothing hides anything."""
    directory = user.home / "bare"
    directory.mkdir()
    user.own(directory)
    driver = user.home / "battery_driver.py"
    driver.write_text(Path(__file__).with_name("battery_driver.py").read_text())
    driver.chmod(0o644)
    command = user.command()
    command[command.index("-m") :] = [str(driver), str(directory), str(user.source)]
    done = subprocess.run(
        command,
        env=user.environment(None),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


@real
@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.id)
def test_native(question: Question, probed: dict[str, Told], user: User) -> None:
    answer = probed["native"][question.id]
    if cannot_tell(question.id, user):
        assert answer["said"] == "unknown", answer
    elif question.kind == "shows":
        assert answer["said"] == ("shows" if question.id in SHOWS else "hidden"), answer
    else:
        expected = "does not work" if question.id in REFUSED else "works"
        assert answer["said"] == expected, answer


@real
@pytest.mark.parametrize("name", [name for name in NAMES if name != "qemu"])
def test_an_engine_keeps_out_what_it_says(
    name: str, every: dict[str, dict[str, Any]], user: User
) -> None:
    engine = every[name]
    if name == "nspawn" and user.name != "root":
        assert "needs real root" in engine["reason"]
        return
    if not engine["there"]:
        cannot(f"{name}: {engine['reason']}")
    assert engine["error"] is None
    said = {answer["question"]: answer for answer in engine["answers"]}
    for claim in engine["isolates"]:
        for question in CLAIMS[claim]:
            allowed = {"hidden", "unknown"} if cannot_tell(question, user) else {"hidden"}
            assert said[question]["said"] in allowed, (claim, said[question])


@real
@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("qemu", "chroot")])
def test_every_engine_gives_both_families(
    name: str, every: dict[str, dict[str, Any]], user: User
) -> None:
    """As Portage's network-sandbox does; under chroot the network is the host's."""
    engine = every[name]
    if name == "nspawn" and user.name != "root":
        return
    if not engine["there"]:
        cannot(f"{name}: {engine['reason']}")
    said = {answer["question"]: answer for answer in engine["answers"]}
    assert said["families"]["said"] == "works", said["families"]


@real
def test_a_chroot_hides_little(probed: dict[str, Told]) -> None:
    told = probed["chroot"]
    open_to_all = {
        *("files", "hostname", "loopback", "abstract-sockets", "sysv", "mqueue", "keyring"),
        *("sys", "mount-paths", "kernel"),
    }
    assert {name: told[name]["said"] for name in open_to_all} == dict.fromkeys(open_to_all, "shows")
    assert told["network-sandbox"]["said"] == told["pid-sandbox"]["said"] == "works"


@real
def test_nothing_planted_is_left(
    probed: dict[str, Told], without: dict[str, Any], user: User
) -> None:
    assert probed
    assert list((user.home / "engines-store" / "tmp").iterdir()) == []
    deadline = time.monotonic() + 20  # the kernel takes its time to drop keys
    while without["key"] in keys_of(user) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert without["key"] not in keys_of(user)


def keys_of(user: User) -> str:
    """All keys that the user can see."""
    command = [*user.as_user(), "cat", "/proc/keys"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@real
@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.id)
def test_without_a_sandbox_everything_is_found(
    question: Question, without: dict[str, Any], user: User
) -> None:
    if question.id not in without["answers"]:
        assert question.id in {
            "disk",
            "write",
            "setuid",
            "capabilities",
            "chown",
            "xattrs",
            "mknod",
            "families",
        }
        return
    yes, detail = without["answers"][question.id]
    if cannot_tell(question.id, user):
        assert yes is None
    elif question.id == "cgroup":
        text = Path("/proc/self/cgroup").read_text()
        assert yes == bool(re.search(r":/.+$", text, re.MULTILINE)), detail
    else:
        assert yes is True, (question.id, detail)


def test_a_root_needs_a_python(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="no /usr/bin/python3"):
        given_root(tmp_path, "empty")


def test_the_hosts_programs_are_bound_read_only_over_an_empty_root(tmp_path: Path) -> None:
    root = host_root(tmp_path)
    assert not any(bind.writable for bind in root.binds)
    assert {"/usr"} <= {bind.target for bind in root.binds}
    assert root.find("/etc/passwd") == tmp_path / "root/etc/passwd"
    assert root.find("/etc/hosts") is None


def test_medians_are_taken_of_each_figure_alone() -> None:
    rounds = [Costs(1, 30, 5), Costs(2, 10, 6), Costs(9, 20, 4)]
    assert median(rounds) == Costs(2, 20, 5)


def test_an_answer_that_is_missing_is_none() -> None:
    probed = Probed("x", (Answer("sys", "hidden", ""),))
    assert probed.said("sys") == "hidden"
    assert probed.said("files") is None
