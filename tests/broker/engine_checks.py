"""Checks of brokered engines, run by broker_driver.py in a process with threads."""

# ruff: noqa: PTH208 - descriptors are counted, not paths

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from broker_ground import ENV, Ground, begun, raises, settled, still_there
from sandbox_ground import gone

from cloche.broker import open_engine
from cloche.broker.engine import RestartingEngine
from cloche.engines.choice import make_engine
from cloche.sandbox import userns
from cloche.sandbox.base import Bind, Command, Ended, Sandbox
from cloche.sandbox.errors import HostError, LauncherError


def shell(engine: RestartingEngine, g: Ground, script: str) -> tuple[Ended, bytes]:
    """Run a script; give how it ended and what it wrote."""
    reader, writer = os.pipe2(os.O_CLOEXEC)
    with open(reader, "rb") as stream:
        try:
            command = Command(("/bin/sh", "-c", script), ENV)
            process = engine.start(Sandbox((g.root,)), command, stdout=writer)
        finally:
            os.close(writer)
        said = stream.read()
    ended = process.wait()
    assert ended is not None
    return ended, said


def check_a_process_with_threads_gets_a_brokered_engine(g: Ground) -> None:
    with open_engine() as engine:
        assert engine._broker is not None
        assert engine.name == "native"
        assert engine.nature.shares_kernel
    raises(RuntimeError, lambda: make_engine("native"))
    if os.geteuid() != 0:
        assert "process with threads" in str(raises(HostError, userns.enter))


def check_four_threads_start_at_once(g: Ground) -> None:
    with RestartingEngine() as engine, ThreadPoolExecutor(4) as threads:
        together = threading.Barrier(4)

        def work(number: int) -> None:
            together.wait()
            for turn in range(10):
                word = f"{number}-{turn}"
                ended, said = shell(engine, g, f"echo {word}; exit {number * 10 + turn}")
                assert (ended.status, said) == (number * 10 + turn, f"{word}\n".encode())

        for done in [threads.submit(work, number) for number in range(4)]:
            done.result()


def check_an_asyncio_program_builds_beside_other_work(g: Ground) -> None:
    async def program() -> list[object]:
        engine = await asyncio.to_thread(RestartingEngine)
        try:
            beside = await asyncio.create_subprocess_exec("sleep", "0.1")
            return await asyncio.gather(
                *(asyncio.to_thread(shell, engine, g, f"exit {n}") for n in range(6)),
                beside.wait(),
            )
        finally:
            await asyncio.to_thread(engine.close)

    *runs, beside = asyncio.run(program())
    assert [ended.status for ended, _ in runs] == [0, 1, 2, 3, 4, 5]  # type: ignore[misc]
    assert beside == 0


def check_what_is_written_and_bound_is_the_callers(g: Ground) -> None:
    upper, shown = g.fresh(), g.fresh()
    sandbox = Sandbox((g.root,), upper=upper, binds=(Bind(shown, "/shown", True),))
    command = Command(("/bin/sh", "-c", "echo a >/made; echo b >/shown/b; cat <&7 >&7"), ENV)
    with RestartingEngine() as engine:
        memory = os.memfd_create("given")
        ended = engine.start(sandbox, command, fds={7: memory}).wait()
        os.close(memory)
    assert ended is not None
    assert ended.ok, ended
    assert (upper / "top/made").read_text() == "a\n"
    assert (shown / "b").read_text() == "b\n"


def check_a_killed_broker_is_an_error_of_the_steps_in_work(g: Ground) -> None:
    with RestartingEngine() as engine, ThreadPoolExecutor(2) as threads:
        first = engine._engine.launcher.pid
        command = Command(("/bin/sh", "-c", "setsid sleep 74001 & sleep 74001"), ENV)
        steps = [engine.start(Sandbox((g.root,)), command) for _ in range(2)]
        waits = [threads.submit(step.wait) for step in steps]
        os.kill(engine._broker.pid, signal.SIGKILL)
        for wait, step in zip(waits, steps, strict=True):
            error = wait.exception(10)
            assert isinstance(error, LauncherError), error
            assert f"(process {first}) has ended" in error.what
            raises(LauncherError, step.wait)
        assert gone("74001")
        ended, said = shell(engine, g, "echo again")
        assert (ended.status, said) == (0, b"again\n")
        assert engine._engine.launcher.pid != first


def check_a_start_does_not_hide_that_the_broker_died(g: Ground) -> None:
    """The next start clears up, but what ran until then has ended by the broker's death."""
    with RestartingEngine() as engine, ThreadPoolExecutor(2) as threads:
        for _ in range(3):
            step = engine.start(Sandbox((g.root,)), Command(("sleep", "74006"), ENV))
            waits = [threads.submit(step.wait) for _ in range(2)]
            os.kill(engine._broker.pid, signal.SIGKILL)
            shell_again(engine, g)
            assert [type(wait.exception(10)) for wait in waits] == [LauncherError] * 2
        assert gone("74006")


def check_closing_does_not_wait_for_forks(g: Ground) -> None:
    engine = RestartingEngine()
    process = engine.start(Sandbox((g.root,)), Command(("sleep", "74009"), ENV))
    fork = os.fork()  # has copies of all sockets
    if fork == 0:
        time.sleep(200)
        os._exit(0)
    try:
        began = time.monotonic()
        engine.close()
        assert time.monotonic() - began < 100
        ended = process.wait()
        assert ended is not None
        assert ended.killed
    finally:
        os.kill(fork, signal.SIGKILL)
        os.waitpid(fork, 0)


def check_a_killed_launcher_is_replaced(g: Ground) -> None:
    with RestartingEngine() as engine:
        process = engine.start(Sandbox((g.root,)), Command(("sleep", "74002"), ENV))
        os.kill(engine._engine.launcher.pid, signal.SIGKILL)
        raises(LauncherError, lambda: process.wait(60))
        assert shell(engine, g, "exit 5")[0].status == 5
        assert gone("74002")


def check_killing_a_step_is_no_error_of_the_broker(g: Ground) -> None:
    with RestartingEngine() as engine:
        process = engine.start(Sandbox((g.root,)), Command(("sleep", "74003"), ENV))
        assert process.wait(0.05) is None
        process.kill()
        ended = process.wait(60)
        assert ended is not None
        assert ended.killed
        assert gone("74003")


def check_engines_of_other_tools_are_brokered(g: Ground) -> None:
    tools = {"bwrap": "bwrap", "oci": "crun", "chroot": "sh"}
    for name in (name for name, tool in tools.items() if shutil.which(tool)):
        with RestartingEngine(name) as engine:
            assert shell(engine, g, "exit 3")[0].status == 3


def check_descriptors_do_not_leak(g: Ground) -> None:
    def held(engine: RestartingEngine) -> list[int]:
        processes = (os.getpid(), engine._broker.pid, engine._engine.launcher.pid)
        if os.geteuid() != 0:  # what is uid 0 in there has more rights than this process
            processes = processes[:1]
        return [len(os.listdir(f"/proc/{pid}/fd")) for pid in processes]

    outside = len(os.listdir("/proc/self/fd"))
    with RestartingEngine() as engine:
        shell(engine, g, "true")
        time.sleep(0.2)  # the launcher has a spare sandbox by then
        before = held(engine)
        for _ in range(50):
            shell(engine, g, "true")
        time.sleep(0.2)
        assert held(engine) == before
        os.kill(engine._broker.pid, signal.SIGKILL)
        shell_again(engine, g)
        assert held(engine)[0] == before[0]
    assert len(os.listdir("/proc/self/fd")) == outside


def shell_again(engine: RestartingEngine, g: Ground) -> None:
    """Start something when the broker has just been killed: the start may notice it first."""
    try:
        shell(engine, g, "true")
    except LauncherError:
        assert shell(engine, g, "true")[0].ok


def check_closing_leaves_no_process(g: Ground) -> None:
    with RestartingEngine() as engine:
        process = engine.start(Sandbox((g.root,)), Command(("sleep", "74004"), ENV))
        pids = [engine._broker.pid, engine._engine.launcher.pid, *begun("74004", 1)]
    assert len(pids) >= 3
    assert settled(lambda: still_there(pids)) == []
    ended = process.wait(0)
    assert ended is not None
    assert ended.killed
    raises(LauncherError, lambda: engine.start(Sandbox((g.root,)), Command(("true",), ENV)))


def check_a_killed_client_leaves_no_process(g: Ground) -> None:
    driver = Path(sys.argv[0])
    client = subprocess.Popen(
        [sys.executable, driver, "client", g.directory, g.root, g.store], stdout=subprocess.PIPE
    )
    with client:
        assert client.stdout is not None
        pids: list[int] = json.loads(client.stdout.readline())
        pids += begun("74005", 2 * 2)
        assert len(pids) >= 4 + 2 * 2  # brokers, launcher, worker; what runs in two sandboxes
        assert still_there(pids) == sorted(pids)
        client.kill()
    assert settled(lambda: still_there(pids)) == []
