"""Starts sandboxes and kills what has to do with them, at random; then looks what is left.

Usage: killing_driver.py DIRECTORY ROOT SEED STARTS. Enters a user namespace when it must, where the
kernel counts namespaces for itself alone. Prints one JSON object: what was done, and what is left.
"""

# ruff: noqa: PTH208 - names are counted, not paths

from __future__ import annotations

import collections
import contextlib
import ctypes
import itertools
import json
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sandbox_ground import ENV

from cloche.broker.engine import RestartingEngine
from cloche.broker.errors import BrokerError
from cloche.linux import processes
from cloche.sandbox import userns
from cloche.sandbox.base import Command, Limits, Sandbox
from cloche.sandbox.errors import SandboxError
from cloche.sandbox.native import NativeEngine

MARKER = "73001"
PATIENCE = 20.0  # seconds for the kernel, which ends network namespaces when it comes to it
NAMESPACES = {
    "mnt": processes.CLONE_NEWNS,
    "pid": processes.CLONE_NEWPID,
    "net": processes.CLONE_NEWNET,
    "ipc": processes.CLONE_NEWIPC,
    "uts": processes.CLONE_NEWUTS,
    "cgroup": processes.CLONE_NEWCGROUP,
}
SCRIPTS = (
    f"exec sleep {MARKER}",
    f"setsid sleep {MARKER} & setsid sh -c 'setsid sleep {MARKER} & exit 0' & exec sleep {MARKER}",
    "exit 3",
    "sleep 0.02",
)


@dataclass(frozen=True)
class Program:
    """A process with an engine, which may be a broker's: that has the launcher then."""

    pid: int
    brokered: bool

    def parts(self) -> dict[str, list[int]]:
        """Its processes, by what they are."""
        broker = children(self.pid) if self.brokered else []
        launcher = children(broker[0]) if broker else [] if self.brokered else children(self.pid)
        sandbox = children(launcher[0]) if launcher else launcher
        return {"broker": broker, "launcher": launcher, "sandbox": sandbox}


def work(
    directory: Path, root: Path, chosen: random.Random, started: int, *, brokered: bool
) -> None:
    """Be a program with an engine: start sandboxes until something ends this."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if brokered:  # which an engine is where its process has threads
        threading.Thread(target=time.sleep, args=(1e6,), daemon=True).start()
    kind = RestartingEngine if brokered else NativeEngine
    expected = (SandboxError, BrokerError, KeyboardInterrupt)
    with contextlib.suppress(*expected), kind() as engine:
        for _ in range(chosen.randint(4, 16)):
            upper = Path(tempfile.mkdtemp(dir=directory)) if chosen.random() < 0.5 else None
            limits = Limits(memory=1 << 30) if chosen.random() < 0.1 else Limits()
            sandbox = Sandbox(lowers=(root,), upper=upper, limits=limits)
            timeout = chosen.choice((None, None, 0.02))
            command = Command(("/bin/sh", "-c", chosen.choice(SCRIPTS)), ENV, timeout=timeout)
            os.write(started, b"x")
            process = engine.start(sandbox, command)
            if chosen.random() < 0.3:
                process.wait(chosen.uniform(0, 0.02))
            if chosen.random() < 0.2:
                process.kill()


def children(pid: int) -> list[int]:
    """The children of a process; none when it is gone."""
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def kill_something(program: Program, chosen: random.Random) -> tuple[str, bool]:
    """Send a signal to one part of a program; say to which, and whether that ends all of it."""
    parts = ["launcher", "program", "interrupt", *(["broker"] * 3 if program.brokered else [])]
    what = chosen.choice((*["sandbox"] * 6, *parts))
    if what == "program":
        os.kill(program.pid, signal.SIGKILL)
        return what, True
    if what == "interrupt":
        os.kill(program.pid, signal.SIGINT)
        return what, True
    victims = program.parts()[what]
    if not victims:
        return "nobody", False
    with contextlib.suppress(ProcessLookupError):
        os.kill(chosen.choice(victims), signal.SIGKILL)
    return what, what == "launcher" and not program.brokered


def one_program(
    directory: Path, root: Path, chosen: random.Random, *, brokered: bool
) -> tuple[set[int], int, list[str]]:
    """Run a program and kill around in it until it ends.

    Gives the processes that may have made control groups, its starts, and what was hit.
    """
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(read)
        try:
            work(directory, root, chosen, write, brokered=brokered)
        finally:
            os._exit(0)
    os.close(write)
    program, makers = Program(pid, brokered), {pid}
    hits: list[str] = []
    over = False
    while not over:
        time.sleep(chosen.uniform(0, 0.03))
        if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            break
        makers.update(program.parts()["broker"])
        hit, over = kill_something(program, chosen)
        hits.append(hit)
    os.waitpid(pid, 0)
    starts = 0
    while data := os.read(read, 999):
        starts += len(data)
    os.close(read)
    return makers, starts, hits


def processes_left() -> list[int]:
    """Whose parents have died, and come to us; those that have ended are buried here."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    return children(os.getpid())


def namespaces_left(expected: dict[str, int]) -> dict[str, int]:
    """Kinds of namespaces with more than expected, by what the kernel lets us make."""
    left = {}
    for name, flag in NAMESPACES.items():
        limit = Path(f"/proc/sys/user/max_{name}_namespaces")
        limit.write_text(str(expected.get(name, 0) + 1))
        child = os.fork()
        if child == 0:
            try:
                processes.unshare(flag)
                os._exit(0)
            except OSError as error:
                os._exit(error.errno or 255)
        if status := os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
            left[name] = status
        limit.write_text("10000")
    return left


def groups_left(makers: set[int]) -> list[str]:
    """Control groups that processes of ours have made."""
    found = [str(path) for path in Path("/sys/fs/cgroup").rglob("cloche-*")]
    return [path for path in found if int(path.split("cloche-")[1].split("-")[0]) in makers]


def settled(look: Callable[[], object]) -> object:
    """What is left when the kernel had its time."""
    end = time.monotonic() + PATIENCE
    while (left := look()) and time.monotonic() < end:
        time.sleep(0.05)
    return left


def main() -> None:
    """See above."""
    directory, root = Path(sys.argv[1]), Path(sys.argv[2])
    chosen, wanted = random.Random(int(sys.argv[3])), int(sys.argv[4])
    tempfile.tempdir = str(directory / "temporary")
    Path(tempfile.tempdir).mkdir()
    counted = userns.enter()
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER
    mounts = Path("/proc/self/mountinfo").read_text()
    descriptors = len(os.listdir("/proc/self/fd"))
    starts, makers, hits = 0, set[int](), collections.Counter[str]()
    for number in itertools.count():
        if starts >= wanted:
            break
        own = random.Random(chosen.random())
        made_by, more, hit = one_program(directory, root, own, brokered=number % 3 == 0)
        makers |= made_by
        starts += more
        hits.update(hit)
    left = {
        "processes": settled(processes_left),
        "namespaces": settled(lambda: namespaces_left({"mnt": 1})) if counted else {},
        "mounts": Path("/proc/self/mountinfo").read_text() != mounts,
        "descriptors": len(os.listdir("/proc/self/fd")) - descriptors,
        "temporary": os.listdir(tempfile.tempdir),
    }
    with NativeEngine():  # which sweeps the groups of programs that were killed
        pass
    left["groups"] = groups_left(makers)
    print(json.dumps({"starts": starts, "hits": hits, "counted": counted, "left": left}))


if __name__ == "__main__":
    main()
