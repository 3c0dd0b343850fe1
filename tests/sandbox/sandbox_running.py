"""Checks of commands in sandboxes: how they start, run, are watched, and end."""

# ruff: noqa: PTH208 - names are compared, not paths

from __future__ import annotations

import os
import signal
import tempfile
import termios
import threading
import time
import traceback
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path

from sandbox_ground import ENV, Ground, alive, gone, raises

from cloche.sandbox.base import Bind, Command, Sandbox
from cloche.sandbox.errors import LauncherError, ProgramError, SandboxError


def children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def runs(pid: int | str) -> bool:
    """Tell whether a process is there and no zombie, for which nobody may have waited."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes() != b""
    except OSError:
        return False


def check_the_root_directory_is_the_topmost_layers(g: Ground) -> None:
    lower, upper = g.fresh(), g.fresh()
    os.setxattr(lower, "user.cloche", b"kept")
    lower.chmod(0o751)
    ended, out = g.shell("stat -c %a /", g.sandbox(lower, upper=upper))
    assert ended.ok
    assert out == "751\n"
    assert os.getxattr(upper / "top", "user.cloche") == b"kept"


def check_ones_own_name_is_found_in_both_families(g: Ground) -> None:
    """As under Portage's network-sandbox: its host name, its addresses (glibc's AI_ADDRCONFIG)."""
    etc = g.fresh()
    (etc / "etc").mkdir()
    (etc / "etc/hosts").write_text("127.0.0.1 localhost\n::1 localhost\n")
    script = """
import socket
print(socket.gethostname(), socket.gethostbyname(socket.gethostname()))
for family in socket.AF_INET, socket.AF_INET6:
    found = socket.getaddrinfo("localhost", 80, family, 1, 0, socket.AI_ADDRCONFIG)
    print(found[0][4][0])
"""
    ended, out = g.python(script, etc)
    assert ended.ok, out
    assert out == "localhost 127.0.0.1\n127.0.0.1\n::1\n"


def check_a_daemon_ends_with_its_sandbox(g: Ground) -> None:
    ended, out = g.shell("setsid sh -c 'setsid sleep 71001 & exit 0' & sleep 0.1; ls /dev")
    assert ended.ok, out
    assert not alive("71001")


def check_the_timeout_ends_the_whole_tree(g: Ground) -> None:
    begun = time.monotonic()
    ended, _ = g.shell(
        "(sleep 71002 & sleep 71002) & trap '' TERM; sleep 71002; sleep 71002", timeout=0.3
    )
    assert 0.2 < time.monotonic() - begun < 60
    assert (ended.timed_out, ended.killed, ended.status) == (True, False, 137)
    assert not alive("71002")


def check_kill_from_outside(g: Ground) -> None:
    process = g.engine.start(g.sandbox(), Command(("sleep", "71003"), ENV))
    assert process.wait(0.05) is None
    assert alive("71003")
    threads = [threading.Thread(target=process.wait) for _ in range(4)]
    for thread in threads:
        thread.start()
    process.kill()
    ended = process.wait()
    for thread in threads:
        thread.join()
    assert ended is not None
    assert ended.killed
    assert not alive("71003")
    process.kill()
    assert process.wait() == ended


def check_starts_leave_nothing_behind(g: Ground) -> None:
    def state() -> tuple[int, int, int]:
        pid = g.engine.launcher.pid
        mounts = Path("/proc/self/mounts").read_text().count("\n")
        fds = len(os.listdir("/proc/self/fd")) + len(os.listdir(f"/proc/{pid}/fd"))
        return mounts, fds, len(children(pid))

    def settled() -> tuple[int, int, int]:
        time.sleep(0.2)  # the launcher has made its spare sandbox by then
        return state()

    def start(times: int) -> None:
        for _ in range(times):
            ended = g.engine.start(g.sandbox(), Command(("true",), ENV)).wait()
            assert ended is not None
            assert ended.ok

    start(20)
    before, memory = settled(), [_own_memory(g.engine.launcher.pid)]
    for _ in range(3):
        start(60)
        assert before == settled()
        memory.append(_own_memory(g.engine.launcher.pid))
    assert before[2] == 1
    # What grows with each start grows every time; some pages are first touched in one of them.
    assert min(after - earlier for earlier, after in pairwise(memory)) < 60


def _own_memory(launcher: int) -> int:
    """KiB that the launcher and this process have written to and share with no other."""
    rollups = [Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in (launcher, os.getpid())]
    lines = [line for text in rollups for line in text.splitlines()]
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_Dirty"))


def check_statuses_and_signals(g: Ground) -> None:
    assert g.shell("exit 0")[0].ok
    assert g.shell("exit 42")[0].status == 42
    assert g.shell("kill -TERM $$")[0].status == 128 + signal.SIGTERM
    assert g.shell("kill -PIPE $$")[0].status == 128 + signal.SIGPIPE
    assert g.shell("kill -KILL 1; kill -TERM 1; kill -INT 1; exit 3")[0].status == 3


def check_resources_are_counted(g: Ground) -> None:
    ended, _ = g.shell("i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done")
    assert ended.user_seconds > 0.02, ended
    assert ended.max_rss > 100_000, ended


def check_descriptors_go_in_under_their_numbers(g: Ground) -> None:
    read, write = os.pipe()
    again, out = os.pipe()
    command = Command(("/bin/sh", "-c", "cat <&7 >&9; ls /proc/self/fd"), ENV)
    with tempfile.TemporaryFile() as listing:
        process = g.engine.start(
            g.sandbox(), command, stdout=listing.fileno(), fds={7: read, 9: out}
        )
        os.close(out)
        os.write(write, b"through")
        os.close(write)
        assert os.read(again, 100) == b"through"
        process.wait()
        listing.seek(0)
        seen = listing.read().split()
        assert set(seen) - {b"3"} == {b"0", b"1", b"2", b"7", b"9"}, seen  # 3 is ls's own
    os.close(read)
    os.close(again)
    with tempfile.TemporaryFile() as far:  # beyond the numbers that all shells know
        high = Command(("/bin/sh", "-c", "echo far > /proc/self/fd/40"), ENV)
        assert g.engine.start(g.sandbox(), high, fds={40: far.fileno()}).wait().ok
        assert far.read() == b"far\n"


def check_errors_say_what_failed(g: Ground) -> None:
    def start(sandbox: Sandbox, *argv: str, cwd: str = "/") -> Callable[[], object]:
        return lambda: g.engine.start(sandbox, Command(argv, ENV, cwd))

    error = raises(ProgramError, start(g.sandbox(), "nowhere"))
    assert "executing nowhere: No such file" in str(error), error
    error = raises(ProgramError, start(g.sandbox(), "/" + "x" * 100_000))
    assert str(error).endswith("x: openat2: File name too long"), str(error)[-99:]
    error = raises(ProgramError, start(g.sandbox(), "true", cwd="/none"))
    assert "entering the directory /none" in str(error), error
    missing = g.directory / "missing"
    error = raises(SandboxError, start(g.sandbox(binds=(Bind(missing, "/b"),)), "true"))
    assert f"binding {missing} to /b: " in str(error), error
    error = raises(SandboxError, start(g.sandbox(missing), "true"))
    assert str(missing) in str(error), error
    error = raises(SandboxError, start(g.sandbox(tmpfs=("/a/../b",)), "true"))
    assert "plain absolute path" in str(error), error


def check_what_tools_would_alter_is_refused(g: Ground) -> None:
    plain = Command(("true",), ENV)
    cases: list[tuple[Sandbox, Command, dict[int, int], str]] = [
        (g.sandbox(), Command(("true", "a\0b"), ENV), {}, "null byte"),
        (g.sandbox(), Command(("true",), {"A=B": "c"}), {}, "not the name of a variable"),
        (g.sandbox(), Command(("true",), ENV, cwd="etc"), {}, "not an absolute path"),
        (g.sandbox(hostname="a b"), plain, {}, "not a host name"),
        (g.sandbox(), plain, {2: 0}, "cannot get the number 2"),
        (g.sandbox(), plain, {3: 9999}, "passing descriptors: Bad file descriptor"),
    ]
    for sandbox, command, fds, word in cases:
        start = partial(g.engine.start, sandbox, command, fds=fds)
        error = raises(SandboxError, start)
        assert word in str(error), error
    same = """[ "$1" = "$(printf '\\377')" ]"""
    refused = ""
    try:  # bytes go in as they are, or not at all
        ended, _ = g.shell("", argv=("/bin/sh", "-c", same, "sh", "\udcff"))
    except SandboxError as error:
        refused = str(error)
    assert "is not UTF-8" in refused or (not refused and ended.ok), refused


def check_many_threads_at_once(g: Ground) -> None:
    failures: list[object] = []

    def work(index: int) -> None:
        for _ in range(5):
            ended, out = g.shell(f"echo {index}; exit {index}")
            if (ended.status, out) != (index, f"{index}\n"):
                failures.append((index, ended, out))

    threads = [threading.Thread(target=work, args=(index,)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures


def check_a_terminal_of_its_own(g: Ground) -> None:
    read, write = os.pipe()
    script = "test -t 0 && test -t 1 && read line && echo got $line; exit 5"
    command = Command(("/bin/sh", "-c", script), ENV, tty=True)
    with tempfile.TemporaryFile() as out:
        process = g.engine.start(g.sandbox(), command, stdin=read, stdout=out.fileno())
        os.write(write, b"word\n")
        ended = process.wait(60)
        out.seek(0)
        text = out.read()
    os.close(read)
    os.close(write)
    assert ended is not None
    assert ended.status == 5
    assert b"got word" in text, text


def check_the_callers_terminal_is_given_back(g: Ground) -> None:
    master, slave = os.openpty()
    termios.tcsetwinsize(slave, (33, 111))
    before = termios.tcgetattr(slave)
    script = "stat -c %t /dev/pts/0 && : >/dev/tty && stty size; sleep 0.3"
    command = Command(("/bin/sh", "-c", script), ENV, tty=True)
    process = g.engine.start(g.sandbox(), command, stdin=slave, stdout=slave)
    assert not termios.tcgetattr(slave)[3] & termios.ICANON
    assert process.wait(0.05) is None
    ended = process.wait(60)
    assert ended is not None
    assert ended.ok
    assert termios.tcgetattr(slave) == before
    said = b""
    while said.count(b"\n") < 2:
        said += os.read(master, 999)
    assert said.split() == [b"88", b"33", b"111"], said
    os.close(master)
    os.close(slave)


def check_a_dead_launcher_is_noticed(g: Ground) -> None:
    with g.another() as engine:
        process = engine.start(g.sandbox(), Command(("sleep", "71004"), ENV))
        os.kill(engine.launcher.pid, signal.SIGKILL)
        for _ in range(2):
            raises(LauncherError, lambda: process.wait(60))
        assert gone("71004")
        raises(LauncherError, lambda: engine.start(g.sandbox(), Command(("true",), ENV)))


def check_a_dead_spare_is_replaced(g: Ground) -> None:
    with g.another() as engine:
        time.sleep(0.2)
        (spare,) = children(engine.launcher.pid)
        os.kill(int(spare), signal.SIGKILL)
        time.sleep(0.2)
        for _ in range(2):
            ended = engine.start(g.sandbox(), Command(("true",), ENV)).wait()
            assert ended is not None
            assert ended.ok


def check_closing_ends_what_runs(g: Ground) -> None:
    with g.another() as engine:
        process = engine.start(g.sandbox(), Command(("sleep", "71005"), ENV))
    assert process.wait(0) is not None
    assert not alive("71005")


def check_nothing_outlives_a_killed_program(g: Ground) -> None:
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            engine = g.another()
            command = Command(("/bin/sh", "-c", "setsid sleep 71006 & sleep 71006"), ENV)
            for _ in range(3):
                engine.start(g.sandbox(upper=g.fresh()), command)
            os.write(write, b"%d\n" % engine.launcher.pid)
            signal.pause()
        except BaseException:
            os.write(write, traceback.format_exc().encode())
        os._exit(1)
    os.close(write)
    launcher = int(os.read(read, 9999))
    os.close(read)
    assert len(alive("71006")) >= 3
    time.sleep(0.2)
    first = children(launcher)
    assert len(first) == 4  # and one spare
    mounts = Path("/proc/self/mounts").read_text()
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert gone("71006")
    deadline = time.monotonic() + 5
    while any(map(runs, (launcher, *first))) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not any(map(runs, (launcher, *first)))
    assert mounts == Path("/proc/self/mounts").read_text()
