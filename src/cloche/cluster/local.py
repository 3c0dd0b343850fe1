"""A cluster on this host: a scheduler in this process, and workers as processes of their own."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cloche.cluster.errors import ClusterError
from cloche.cluster.security import Tls, security_of
from cloche.errors import Exit
from cloche.linux import processes

_READY = 60.0  # seconds for the workers to come
_GRACE = 10.0  # seconds for the workers to end
_LOOK = 0.2  # seconds


@dataclass(frozen=True, slots=True)
class Local:
    """What to start. The stores of the workers are ``stores``/1, 2, …"""

    workers: int
    cores: int
    host: str
    port: int
    stores: Path
    engine: str
    tls: Tls

    def command(self, scheduler: str, number: int) -> list[str]:
        """The command of one worker."""
        return [
            *(sys.executable, "-m", "cloche.cli", "--store", str(self.stores / str(number))),
            *("--engine", self.engine, "worker", "--scheduler", scheduler),
            *("--name", f"worker-{number}", "--cores", str(self.cores)),
            *self.tls.words(),
        ]


def run(local: Local, say: Callable[[str], None]) -> Exit:
    """Run the cluster until a signal comes. Raises ClusterError."""
    security_of(local.tls)
    import dask

    # Dask leaves its directory for temporary files behind.
    with tempfile.TemporaryDirectory(prefix="cloche-cluster-") as room:
        dask.config.set({"temporary-directory": room})
        return asyncio.run(_run(local, say))


async def _run(local: Local, say: Callable[[str], None]) -> Exit:
    import distributed

    logging.getLogger("distributed").setLevel(logging.ERROR)
    ending = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, ending.set)
    scheme = "tls" if local.tls.given else "tcp"
    host = f"[{local.host}]" if ":" in local.host else local.host
    try:
        scheduler = await distributed.Scheduler(
            host=f"{scheme}://{host}:{local.port}",
            security=security_of(local.tls),
            dashboard=False,
        )
    except (OSError, RuntimeError) as error:  # Dask wraps it in a RuntimeError
        why = getattr(error.__cause__ or error, "strerror", None) or error
        what = f"cannot listen at {local.host}:{local.port}: {why}"
        raise ClusterError(what, todo="give another --port") from error
    local.stores.mkdir(parents=True, exist_ok=True)
    workers = [_started(local, scheduler.address, each + 1) for each in range(local.workers)]
    try:
        return await _watched(local, scheduler, workers, ending, say)
    finally:
        await asyncio.to_thread(_end, workers)
        await scheduler.close()


def _started(local: Local, scheduler: str, number: int) -> subprocess.Popen[bytes]:
    """Start a worker, which ends with this process, however that ends."""
    parent = os.getpid()

    def bound() -> None:
        processes.die_with_parent(signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)

    return subprocess.Popen(
        local.command(scheduler, number),
        stdin=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is for this process to handle
        preexec_fn=bound,
    )


async def _watched(
    local: Local,
    scheduler: object,
    workers: list[subprocess.Popen[bytes]],
    ending: asyncio.Event,
    say: Callable[[str], None],
) -> Exit:
    """Say when all are there; end with a signal, or when no worker is left."""
    told, began = False, asyncio.get_running_loop().time()
    while not ending.is_set():
        there = len(getattr(scheduler, "workers"))  # noqa: B009 - of distributed
        late = asyncio.get_running_loop().time() - began > _READY
        if not told and (there == local.workers or late):
            told = True
            address = getattr(scheduler, "address")  # noqa: B009
            words = " ".join(("cloche build MACHINE --cluster", address, *local.tls.words()))
            say(f"{there} workers at {address}; stores in {local.stores}; Ctrl-C ends them")
            say(f"Next, in a project: {words}")
        if all(worker.poll() is not None for worker in workers):
            return Exit.HOST
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(ending.wait(), _LOOK)
    return Exit.DONE


def _end(workers: list[subprocess.Popen[bytes]]) -> None:
    for worker in workers:
        worker.terminate()
    for worker in workers:
        try:
            worker.wait(_GRACE)
        except subprocess.TimeoutExpired:
            worker.kill()
            worker.wait()
