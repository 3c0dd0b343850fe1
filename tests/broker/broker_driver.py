"""Checks of the broker, run by test_broker.py in one process with threads, as root or as a user.

Usage: broker_driver.py run DIRECTORY ROOT STORE. An ordinary user's process stays outside of the
user namespace. Makes the store, in a process inside; runs every check_* function of the modules
beside it and prints one JSON object: the name of the check to "ok" or a traceback. With the word
`client` in the place of `run`: be a client that is in the middle of everything, and print the pids.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import engine_checks
import worker_checks
from broker_ground import ENV, Ground
from checking import run_checks

from cloche.broker.calls import verify
from cloche.broker.engine import RestartingEngine
from cloche.broker.executor import Workers
from cloche.sandbox.base import Command, Sandbox

STORE = """
import sys
from pathlib import Path
from cloche.layers import commit
from cloche.sandbox import userns
from cloche.store import Store
userns.enter()
with Store.open(Path(sys.argv[1])) as store, store.workspace("layers") as room:
    for number in range(3):
        (room / str(number)).mkdir()
        (room / str(number) / "file").write_text(f"content {number}")
        commit(store, room / str(number), kind="package", label=f"layer {number}")
"""


def run(g: Ground) -> None:
    subprocess.run([sys.executable, "-c", STORE, g.store], check=True)
    print(json.dumps(run_checks(g, engine_checks, worker_checks)))


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def be_a_client(g: Ground) -> None:
    engine, workers = RestartingEngine(), Workers(1)
    command = Command(("/bin/sh", "-c", "setsid sleep 74005 & sleep 74005"), ENV)
    for _ in range(2):
        engine.start(Sandbox((g.root,), upper=g.fresh()), command)

    def progress(*_: object) -> None:
        brokers = [broker.pid for broker in (engine._broker, workers._broker) if broker]
        pids = [*brokers, *(child for broker in brokers for child in children(broker))]
        print(json.dumps(pids), flush=True)
        time.sleep(1000)

    workers.submit(verify, g.store, progress=progress).result()


if __name__ == "__main__":
    threading.Thread(target=time.sleep, args=(1e6,), daemon=True).start()
    what = {"run": run, "client": be_a_client}[sys.argv[1]]
    what(Ground(*map(Path, sys.argv[2:5])))
