"""Checks of the native engine, run as one process by test_engines_native.py, as root or as a user.

Usage: sandbox_driver.py DIRECTORY ROOT. Enters a user namespace when it must, runs every check_*
function and prints one JSON object: the name of the check to "ok" or a traceback.
"""

# ruff: noqa: PTH116, PTH208 - names are compared, not paths

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import tempfile
import termios
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cloche.engines import userns
from cloche.engines.base import Bind, Command, Ended, Limits, Sandbox
from cloche.engines.errors import LauncherError, ProgramError, SandboxError
from cloche.engines.native import NativeEngine

ENV = {"PATH": "/bin"}


@dataclass
class Ground:
    engine: NativeEngine
    directory: Path
    root: Path

    def fresh(self) -> Path:
        return Path(tempfile.mkdtemp(dir=self.directory))

    def sandbox(self, *more: Path, **fields: object) -> Sandbox:
        return Sandbox(lowers=(self.root, *more), **fields)  # type: ignore[arg-type]

    def shell(
        self, script: str, sandbox: Sandbox | None = None, **fields: object
    ) -> tuple[Ended, str]:
        """Run a script; return how it ended and what it wrote to both streams."""
        engine = fields.pop("engine", self.engine)
        command = Command(("/bin/sh", "-c", script), ENV, **fields)  # type: ignore[arg-type]
        with tempfile.TemporaryFile() as out:
            sandbox = sandbox or self.sandbox()
            process = engine.start(sandbox, command, stdout=out.fileno(), stderr=out.fileno())  # type: ignore[attr-defined]
            ended = process.wait()
            out.seek(0)
            return ended, out.read().decode()


def raises(kind: type[Exception], call: Callable[[], object]) -> Exception:
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"{kind.__name__} was not raised")


def alive(marker: str) -> list[str]:
    """Return the processes of the host with ``marker`` in their command line."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if marker.encode() in path.read_bytes().split(b"\0"):
                found.append(path.parent.name)
    return found


def gone(marker: str) -> bool:
    deadline = time.monotonic() + 5
    while alive(marker) and time.monotonic() < deadline:
        time.sleep(0.01)
    return not alive(marker)


def check_the_inside_is_fixed(g: Ground) -> None:
    _, out = g.shell("hostname; env; umask; cat /proc/self/limits", g.sandbox(hostname="glass"))
    lines = out.splitlines()
    assert lines[0] == "glass"
    assert sorted(lines[1:3]) == ["PATH=/bin", "PWD=/"], lines  # the shell sets PWD
    assert lines[3] == "0022"
    _, out = g.shell("cat /proc/self/environ")
    assert out == "PATH=/bin\0PWD=/\0" or out == "PATH=/bin\0", out


def check_only_its_own_processes_are_seen(g: Ground) -> None:
    _, out = g.shell("echo /proc/[0-9]*")
    assert out.split() == ["/proc/1", "/proc/2"], out


def check_only_the_loopback_device_is_there(g: Ground) -> None:
    _, out = g.shell("cat /proc/net/dev")
    assert [line.split(":")[0].strip() for line in out.splitlines()[2:]] == ["lo"]


def check_no_host_files_are_seen(g: Ground) -> None:
    marker = g.directory / "secret"
    marker.write_text("x")
    ended, out = g.shell(f"ls {g.directory} /sys/kernel; ls /; ls /proc/1/root /proc/1/fd")
    assert "secret" not in out
    assert "skeleton" not in out
    assert not ended.ok  # the first process is closed to the command


def check_proc_cannot_change_the_host(g: Ground) -> None:
    for name in ("sys/kernel/hostname", "sysrq-trigger", "sys/kernel/core_pattern"):
        ended, out = g.shell(f"echo x > /proc/{name}")
        assert not ended.ok, name
    _, out = g.shell("cat /proc/keys /proc/timer_list | wc -c")
    assert out.strip() == "0", out


def check_rights_are_few_but_setuid_works(g: Ground) -> None:
    sandbox = g.sandbox(upper=g.fresh())
    ended, out = g.shell("mount -t tmpfs none /tmp", sandbox)
    assert not ended.ok, out
    ended, out = g.shell("mknod /dev/shm/x c 1 3", sandbox)
    assert not ended.ok, out
    _, out = g.shell("cat /proc/self/status")
    assert "NoNewPrivs:\t0" in out
    ended, out = g.shell(
        "chown 250:250 /bin/sleep && chmod 4755 /bin/sleep && stat -c %u:%a /bin/sleep", sandbox
    )
    assert out == "250:4755\n", out


def check_writes_land_in_top_and_mount_points_do_not(g: Ground) -> None:
    upper, source = g.fresh(), g.fresh()
    binds = (Bind(source, "/var/db/repos/one"), Bind(source / "f", "/run/x/file"))
    (source / "f").write_text("bound")
    sandbox = g.sandbox(upper=upper, binds=binds, tmpfs=("/var/db/repos", "/var/tmp/portage"))
    script = "echo hi > /new; rm /etc/there; echo t > /tmp/t; cat /var/db/repos/one/f /run/x/file"
    ended, out = g.shell(script, sandbox)
    assert ended.ok, out
    assert out == "boundbound", out
    assert sorted(os.listdir(upper / "top")) == ["etc", "new"]
    assert os.stat(upper / "top/etc/there", follow_symlinks=False).st_rdev == 0
    ended, out = g.shell("cat /new; test -e /etc/there", sandbox)  # the same top once more
    assert (out, ended.status) == ("hi\n", 1)


def check_binds_are_read_only_unless_asked(g: Ground) -> None:
    source = g.fresh()
    ended, _ = g.shell("echo x > /b/x", g.sandbox(binds=(Bind(source, "/b"),)))
    assert not ended.ok
    ended, out = g.shell("echo x > /b/x", g.sandbox(binds=(Bind(source, "/b", True),)))
    assert ended.ok, out
    assert (source / "x").exists()


def check_links_in_the_root_lead_nowhere_outside(g: Ground) -> None:
    layer, source, outside = g.fresh(), g.fresh(), g.fresh()
    (layer / "trap").symlink_to(outside)
    error = raises(
        SandboxError,
        lambda: g.shell("true", g.sandbox(layer, binds=(Bind(source, "/trap/x", True),))),
    )
    assert "/trap/x" in str(error), error
    assert not os.listdir(outside)


def check_a_read_only_root_is_read_only(g: Ground) -> None:
    ended, _ = g.shell("echo x > /x")
    assert not ended.ok


def check_a_daemon_ends_with_its_sandbox(g: Ground) -> None:
    ended, out = g.shell("setsid sh -c 'setsid sleep 71001 & exit 0' & sleep 0.1; ls /dev")
    assert ended.ok, out
    assert not alive("71001")


def check_the_timeout_ends_the_whole_tree(g: Ground) -> None:
    begun = time.monotonic()
    ended, _ = g.shell(
        "(sleep 71002 & sleep 71002) & trap '' TERM; sleep 71002; sleep 71002", timeout=0.3
    )
    assert 0.2 < time.monotonic() - begun < 3
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
        pid = g.engine._launcher
        mounts = Path("/proc/self/mounts").read_text().count("\n")
        fds = len(os.listdir("/proc/self/fd")) + len(os.listdir(f"/proc/{pid}/fd"))
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return mounts, fds, len(children)

    g.shell("true")
    before = state()
    for _ in range(50):
        assert g.engine.start(g.sandbox(), Command(("true",), ENV)).wait() == g.engine or True
    after = state()
    assert before == after, (before, after)


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


def check_errors_say_what_failed(g: Ground) -> None:
    def start(sandbox: Sandbox, *argv: str, cwd: str = "/") -> Callable[[], object]:
        return lambda: g.engine.start(sandbox, Command(argv, ENV, cwd))

    error = raises(ProgramError, start(g.sandbox(), "nowhere"))
    assert "executing nowhere: No such file" in str(error), error
    error = raises(ProgramError, start(g.sandbox(), "true", cwd="/none"))
    assert "entering the directory /none" in str(error), error
    missing = g.directory / "missing"
    error = raises(SandboxError, start(g.sandbox(binds=(Bind(missing, "/b"),)), "true"))
    assert f"binding {missing} to /b: " in str(error), error
    error = raises(SandboxError, start(g.sandbox(missing), "true"))
    assert str(missing) in str(error), error
    error = raises(SandboxError, start(g.sandbox(tmpfs=("/a/../b",)), "true"))
    assert "plain absolute path" in str(error), error


def check_stacks_of_any_height(g: Ground) -> None:
    tall = g.fresh()
    layers = []
    for index in range(1000):
        layers.append(tall / f"a-layer-with-a-rather-long-name-{index:04}")
        (layers[-1] / "d").mkdir(parents=True)
        (layers[-1] / f"d/{index}").write_text("")
        (layers[-1] / "last").write_text(str(index))
    os.mknod(layers[450] / "d/3", 0o600 | 0o020000, 0)
    for count in (10, 300, 500, 600, 1000):
        sandbox = g.sandbox(*layers[:count], upper=g.fresh())
        _, out = g.shell("cat /last; echo; set -- /d/*; echo $#; echo x >/d/x", sandbox)
        assert out.split() == [str(count - 1), str(count - (count > 450))], (count, out)
    # In the middle of a stack that needs a third overlay, a whiteout cannot be kept.
    os.mknod(layers[500] / "d/4", 0o600 | 0o020000, 0)
    error = raises(SandboxError, lambda: g.shell("true", g.sandbox(*layers)))
    assert "too many" in str(error), error


def check_names_that_overlayfs_finds_hard(g: Ground) -> None:
    for name in ("with,comma", "with:colon", "with\\backslash", "ümlaut", "x" * 250, "a b"):
        layer = g.fresh() / name / "deeper"
        layer.mkdir(parents=True)
        (layer / "here").write_text("y")
        upper = layer.parent / "upper"
        upper.mkdir()
        ended, out = g.shell("cat /here; echo > /z", g.sandbox(layer, upper=upper))
        assert (out, ended.status) == ("y", 0), (name, out)
        assert (upper / "top/z").exists()


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


def check_limits(g: Ground) -> None:
    sandbox = g.sandbox(upper=g.fresh(), limits=Limits(open_files=99, file_size=4096))
    _, out = g.shell("ulimit -n; ulimit -c", sandbox)
    assert out.split() == ["99", "0"]
    ended, _ = g.shell("cat /bin/sh > /big", sandbox)
    assert not ended.ok
    assert sandbox.upper is not None
    assert (sandbox.upper / "top/big").stat().st_size == 4096


def check_a_terminal_of_its_own(g: Ground) -> None:
    read, write = os.pipe()
    script = "test -t 0 && test -t 1 && read line && echo got $line; exit 5"
    command = Command(("/bin/sh", "-c", script), ENV, tty=True)
    with tempfile.TemporaryFile() as out:
        process = g.engine.start(g.sandbox(), command, stdin=read, stdout=out.fileno())
        os.write(write, b"word\n")
        ended = process.wait(10)
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
    script = "stat -c %t /dev/pts/0 && : >/dev/tty && stty size; sleep 0.2"
    command = Command(("/bin/sh", "-c", script), ENV, tty=True)
    process = g.engine.start(g.sandbox(), command, stdin=slave, stdout=slave)
    assert not termios.tcgetattr(slave)[3] & termios.ICANON
    assert process.wait(0.05) is None
    ended = process.wait(10)
    assert ended is not None
    assert ended.ok
    assert termios.tcgetattr(slave) == before
    assert os.read(master, 999).split() == [b"88", b"33", b"111"]
    os.close(master)
    os.close(slave)


def check_a_dead_launcher_is_noticed(g: Ground) -> None:
    with NativeEngine() as engine:
        process = engine.start(g.sandbox(), Command(("sleep", "71004"), ENV))
        os.kill(engine._launcher, signal.SIGKILL)
        ended = process.wait(5)
        assert ended is not None
        assert ended.killed
        assert gone("71004")
        raises(LauncherError, lambda: engine.start(g.sandbox(), Command(("true",), ENV)))


def check_closing_ends_what_runs(g: Ground) -> None:
    with NativeEngine() as engine:
        process = engine.start(g.sandbox(), Command(("sleep", "71005"), ENV))
    assert process.wait(0) is not None
    assert not alive("71005")


def check_nothing_outlives_a_killed_program(g: Ground) -> None:
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            engine = NativeEngine()
            command = Command(("/bin/sh", "-c", "setsid sleep 71006 & sleep 71006"), ENV)
            for _ in range(3):
                engine.start(g.sandbox(upper=g.fresh()), command)
            os.write(write, b"%d\n" % engine._launcher)
            signal.pause()
        except BaseException:
            os.write(write, traceback.format_exc().encode())
        os._exit(1)
    os.close(write)
    launcher = int(os.read(read, 9999))
    os.close(read)
    assert len(alive("71006")) >= 3
    mounts = Path("/proc/self/mounts").read_text()
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert gone("71006")
    deadline = time.monotonic() + 5
    while Path(f"/proc/{launcher}/exe").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert mounts == Path("/proc/self/mounts").read_text()


def main() -> None:
    directory, root = Path(sys.argv[1]), Path(sys.argv[2])
    results: dict[str, str] = {}
    userns.enter()
    with NativeEngine() as engine:
        ground = Ground(engine, directory, root)
        for name, check in list(globals().items()):
            if name.startswith("check_") and (len(sys.argv) < 4 or sys.argv[3] in name):
                begun = time.monotonic()
                try:
                    check(ground)
                    results[name] = "ok"
                except BaseException:
                    results[name] = traceback.format_exc()
                print(name, f"{time.monotonic() - begun:.2f}", file=sys.stderr)
    print(json.dumps(results))


if __name__ == "__main__":
    main()
