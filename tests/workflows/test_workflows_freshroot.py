"""Freshroots on a real host: emerge in them builds outside, and nothing of them is left."""

from __future__ import annotations

import os
import random
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.machine.tiny import build
from tests.support import Store, cannot
from tests.terminal import Tmux
from tests.workflows.freshroots import NEEDED, place_for

pytestmark = pytest.mark.real

#: Says what is installed, and what the world file has.
SHOW = "ls /var/db/pkg/tiny | tr '\\n' ' '; cat /var/lib/portage/world"

#: What `kernel` names is a package like others here.
MACHINE = """seed = "debian"
profile = "tiny:default"
packages = ["tiny/top", "tiny/leaf"]

[kernel]
dist = "tiny/leaf"

[users.larry]
shell = "/usr/bin/top"
"""

#: Talks to the desk as no emerge does; prints what it answers.
ATTACK = r"""
import json, socket, struct, sys
def ask(*frames):
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(20)
        s.connect("/run/cloche/freshroot/socket")
        try:
            for kind, content in frames:
                s.sendall(kind + struct.pack(">I", len(content)) + content)
            s.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        data = b""
        try:
            while more := s.recv(65536):
                data += more
        except OSError:
            pass
        return data
good = {"wanted": [{"cpv": "tiny/one-1", "repo": "tiny", "slot": "0", "use": []}], "tools": [],
        "installed": [], "etc": {}, "profile": "", "environment": {},
        "columns": 0, "rows": 0, "term": ""}
def bad(**more):
    return (b"r", json.dumps({**good, **more}).encode())
one = good["wanted"][0]
for each in (
    (b"r", b"{"), (b"k", b"x"), bad(more=1), bad(wanted=[]), bad(columns=-1),
    bad(etc={"package.use": "x", "package.use/y": "z"}), bad(etc={"a/" * 10**6 + "a": "x"}),
    bad(etc={"../../x": "y"}), bad(etc={"package.use/../../x": "y"}), bad(etc={"/etc/x": "y"}),
    bad(wanted=[{**one, "cpv": "../../etc/passwd-1"}]), bad(wanted=[{**one, "repo": "-x"}]),
    bad(wanted=[{**one, "use": ["a\nb"]}]), bad(term="x\ny"), bad(profile="tiny:../../../etc"),
):
    answer = ask(each)
    print(b'"status":2' in answer, b'"packages":null' in answer)
with socket.socket(socket.AF_UNIX) as s:
    s.connect("/run/cloche/freshroot/socket")
    s.sendall(b"r" + struct.pack(">I", 1 << 31))
    print(b"malformed" in s.recv(65536))
"""


@pytest.fixture(scope="module")
def store(root_seeded: Store, ground: Path) -> Iterator[Store]:
    """A store of this module's own, in which a package is built once for all of its tests."""
    parent = ground / "freshroots"
    parent.mkdir()
    yield root_seeded.copy(parent / "store")
    shutil.rmtree(parent)


@pytest.fixture(scope="module")
def place(store: Store) -> Path:
    """The project, for tests that leave it as it was."""
    return place_for(store)


def run(
    store: Store,
    place: Path,
    script: str,
    *words: str,
    status: int = 0,
    over: str = "debian",
    proxy: str = "",
) -> str:
    """Run a script in a freshroot of the seed or a machine; what it and cloche say."""
    command = ("bash", "-c", f"exec 2>&1; {script}")
    more = {"http_proxy": proxy}
    done = store.cloche("freshroot", over, *words, "--", *command, cwd=place, env=more)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


def test_emerge_builds_outside_and_others_reuse_it(
    seeded: Store, fresh: Callable[[Store], Store]
) -> None:
    store = fresh(seeded)
    place = place_for(store)
    said = run(store, place, f"emerge tiny/top && cat /usr/share/top; {SHOW}")
    assert "5 packages built, 0 reused" in said  # the tool as well
    assert f"this is top\n{' '.join(f'{n}-1' for n in NEEDED)} tiny/top" in said
    again = run(store, place, f"emerge tiny/top; {SHOW}")
    found = re.search(r"0 packages built, 5 reused, ([\d.]+) s in all", again)
    assert found, again
    assert float(found[1]) < 60  # how fast is a matter of `make bench`
    assert "tiny/top" in again.splitlines()[-1]
    assert not list((store.path / "tmp").iterdir())
    machine = place / "machines/tiny.toml"
    machine.write_text(MACHINE)
    assert {f"tiny/{n}-1" for n in NEEDED} <= build(store, place).packages("reused")
    # What the machine's finish needs is no matter of what is built for its freshroot.
    said = run(store, place, "emerge tiny/tool && test -e /usr/share/tool && id larry", over="tiny")
    assert "1 reused" in said


def test_a_root_with_network_has_this_hosts(store: Store, place: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        script = "cat /proc/sys/kernel/hostname /etc/resolv.conf"
        script += f"; exec 3<>/dev/tcp/127.0.0.1/{port} && echo connected"
        said = run(store, place, f"{script}; echo $http_proxy", "--network", proxy="http://p")
    resolver = Path("/etc/resolv.conf")
    names = resolver.read_text() if resolver.is_file() else ""
    assert said == f"freshroot-debian\n{names.rstrip()}\nconnected\nhttp://p\n".lstrip()


def test_what_the_root_says_counts(store: Store, place: Path) -> None:
    use = "mkdir -p /etc/portage/package.use; echo 'tiny/top loud' > /etc/portage/package.use/own"
    steps = f"""
        emerge --pretend tiny/one | grep -c 'ebuild  N .*tiny/one-1'
        emerge tiny/one > /dev/null; {use}
        emerge --onlydeps tiny/top; {SHOW}
        echo n | emerge --ask tiny/top; echo status $?
        emerge tiny/top | grep reused; cat /var/db/pkg/tiny/top-1/USE
        emerge --depclean --quiet tiny/top; ls /var/db/pkg/tiny
        emerge tiny/top tiny/nothing; echo status $?
        emerge tiny/broken; echo status $?; echo y > /usr/share/written
        USE=-loud CFLAGS=-O0 FEATURES=splitdebug emerge -1 tiny/top > /dev/null
        cd /var/db/pkg/tiny/top-1; grep -c loud USE; cat CFLAGS; grep -o splitdebug FEATURES
        CFLAGS='-DX="1"' emerge -1 tiny/top; echo status $?
        emerge -1 /var/db/repos/tiny/tiny/two/two-1.ebuild | grep -o "1 reused"
        emerge /tmp/two-1.ebuild; echo status $?
    """
    said = run(store, place, steps)
    assert said.startswith("1\n")
    assert "leaf-1 one-1 two-1 tiny/one" in said
    assert "Would you like to merge these packages?" in said
    assert "status 130" in said
    assert "loud" in said
    assert re.search(r"top-1.*it never builds", said, re.DOTALL)  # after depclean had nothing of it
    assert said.count("status 1\n") == 4
    assert "there are no ebuilds to satisfy" in said
    assert "\n0\n-O0\nsplitdebug\nemerge: CFLAGS of the environment cannot be passed" in said
    assert "\n1 reused\nemerge: /tmp/two-1.ebuild: only an ebuild below /var/db/repos/ can" in said
    assert "/usr/share/written" not in run(store, place, "ls /usr/share/written; true")[:20]


def test_what_emerge_does_besides_is_as_ever_or_a_line(store: Store, place: Path) -> None:
    steps = """
        emerge tiny/one tiny/configured | grep -v '^>>>'; emerge --config tiny/configured
        emerge --sync; echo status $?
        emerge -C sed; echo status $?
        emerge --frob 2>&1 | grep -c ^usage:
        emerge --deselect --quiet tiny/one > /dev/null; emerge --depclean; ls /var/db/pkg/tiny
        test -e /usr/share/one || ls -d /var/db/pkg/*/sed-*; sed --version | head -1
        emerge tiny/top; emerge tiny/rival; echo status $?
    """
    said = run(store, place, steps)
    assert "\nconfigured configured-1\n" in said
    assert re.search(r"in cloche's store.*`cloche repo sync` outside.*\nstatus 1\n", said)
    assert re.search(r"\nemerge: sys-apps/sed is a part of the seed.*\nstatus 1\n1\n", said)
    cleaned = said[said.index("emerge: the seed stays: ") :]
    assert re.search(r"\nconfigured-1\n/var/db/pkg/sys-apps/sed-\S+\nsed \(GNU sed\)", cleaned)
    # Of files that nobody owns one line tells, as /usr/bin/top of the Debian seed, of others all.
    top, rival = cleaned.split("tiny/rival-1", 1)
    assert " * overwrites a file that no package owns: /usr/bin/top\n" in top
    assert "This package will overwrite" not in top
    assert "This package will overwrite" in rival
    assert {"tiny/one-1:0::tiny", "tiny/top-1:0::tiny"} <= set(re.findall(r"\S+::tiny", rival))
    assert rival.endswith("\nstatus 1\n")


def test_nothing_comes_in_or_out_but_packages(store: Store, place: Path) -> None:
    (place / "attack.py").write_text(ATTACK)
    tries = (
        "cd /run/cloche/freshroot; touch x || echo refused; chmod 600 socket || echo refused; "
        "rm socket || echo refused; echo > /usr/local/sbin/emerge || echo refused; "
        f"cat > /tmp/attack.py <<'END'\n{ATTACK}\nEND\npython3 /tmp/attack.py; "
        "timeout 3 bash -c 'exec 3<>/dev/tcp/1.1.1.1/80' || echo no network; "
        f"emerge tiny/one; grep -rls {place} /run /etc /var/db/pkg; ls /var/db/pkg/tiny"
    )
    said = run(store, place, tries)
    assert said.count("refused") == 4
    assert said.count("True True\n") == 15, said
    assert "False" not in said
    assert "no network" in said
    assert said.endswith("one-1\n")  # the desk serves on


def test_the_graph_is_drawn_inside_and_stopped_from_there(
    store: Store, place: Path, tmp_path: Path
) -> None:
    if shutil.which("tmux") is None:
        cannot("tmux: not installed")
    words = store.user.command("--store", store.path, "freshroot", "debian")
    variables = [f"{name}={value}" for name, value in store.user.environment(None).items()]
    command = shlex.join(["env", *variables, *words])
    window = Tmux(str(tmp_path / "tmux"), 90, 24, f"cd {place} && {command}")
    try:
        window.wait("root@freshroot-debian")
        window.keys("emerge --ask tiny/slow; echo status $((0 + $?))", "Enter")
        window.wait("Would you like to merge these packages?")
        window.keys("y", "Enter")
        window.wait("tiny/slow-1  compile", "1 running")
        window.keys("?")
        window.wait("stop the whole build")
        window.resize(70, 20)
        window.wait("1 running")
        window.keys("C-c")
        assert "interrupted" in window.wait("status 130")
        window.keys("echo $((6 * 7))", "Enter")
        window.wait("42")
    finally:
        window.close()


def alive(*words: str) -> list[str]:
    """Command lines of living processes that have one of these words."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            text = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if any(word in text for word in words):
            found.append(text)
    return found


def rooms(store: Store) -> list[str]:
    """The tops of freshroots. What else a kill leaves goes when the store is opened next."""
    return [str(path) for path in (store.path / "tmp").glob("freshroot-*")]


#: Seconds after which a kill comes: while it opens, while emerge resolves, builds, and merges.
BANDS = ((0.1, 0.5), (0.4, 2), (2, 9))
many = pytest.param(60, marks=pytest.mark.proof(name="kills"))


@pytest.mark.parametrize("kills", [len(BANDS), many])
def test_a_kill_leaves_nothing(seeded: Store, fresh: Callable[[Store], Store], kills: int) -> None:
    """A number in CLOCHE_TESTS_RANDOM repeats a run."""
    chosen = int(os.environ.get("CLOCHE_TESTS_RANDOM", time.time_ns() % 1_000_000))
    print(f"CLOCHE_TESTS_RANDOM={chosen}")
    moments = random.Random(chosen)
    store = fresh(seeded)
    place = place_for(store)
    mark = f"sleep 4{moments.randrange(10**8):08}"
    script = f"(emerge tiny/one; emerge tiny/slow) & {mark}"
    words = store.user.command("--store", store.path, "freshroot", "debian", "--", "bash", "-c")
    for number in range(kills):
        seconds, group = moments.uniform(*BANDS[number % len(BANDS)]), moments.random() < 0.5
        process = subprocess.Popen(
            [*words, script],
            cwd=place,
            env=store.user.environment(None),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        time.sleep(seconds)
        (os.killpg if group else os.kill)(process.pid, signal.SIGKILL)
        process.wait()
        deadline = time.monotonic() + 120
        while (left := [*alive(mark, str(store.path)), *rooms(store)]) and (
            time.monotonic() < deadline
        ):
            time.sleep(0.1)
        assert not left, f"kill {number} after {seconds:.2f} s, group {group}: {left}"
    assert run(store, place, "true") == ""
    assert not list((store.path / "tmp").iterdir())


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("tinny",), "no machine, seed or kept root “tinny”; did you mean “tiny”?"),
        (("tiny",), "machine tiny: not built yet"),
        (("debian", "--netwrok"), "unknown option “--netwrok”; did you mean “--network”?"),
        (("debian", "--keep", "tiny"), "“tiny” is a machine"),
        (("debian", "--keep", "a/b"), "“a/b” is not a name for a freshroot"),
        (("diff", "none"), "no freshroot is kept as “none”"),
        (("rm", "../tmp"), "no freshroot is kept as “../tmp”"),
    ],
)
def test_wrong_words_are_one_line(
    store: Store, place: Path, words: tuple[str, ...], line: str
) -> None:
    done = store.cloche("freshroot", *words, cwd=place, stdin="")
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    (said,) = done.stderr.splitlines()
    assert line in said


def test_the_process_that_answers_is_found_though_no_list_has_it(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "cloche.cli", "freshroot"]
    words = [*command, "answer", "debian", "pin", "1", "a", "b"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
    assert "its freshroot is gone" in done.stderr
    helped = subprocess.run([*command, "--help"], capture_output=True, text=True, check=True)
    assert "answer" not in helped.stdout
