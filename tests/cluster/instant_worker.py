"""A worker whose tasks take no time: what is left is what a cluster costs.

Arguments: store, scheduler, name, cores. Each task's outcome is a blob that the plan's host has.
A worker in whose store lies the file "hold" says so of its first task, and has a full disk when
that file is gone.
"""

from __future__ import annotations

import errno
import os
import sys
import time
from pathlib import Path

from tests import values

from cloche.broker import open_engine
from cloche.cluster import carrying
from cloche.cluster.security import Tls
from cloche.cluster.worker import Settings, serve
from cloche.store import Outcome, Store
from cloche.tasks.task import Task
from cloche.tasks.worker import Worker


def main() -> None:
    """Serve until a signal."""
    store, scheduler, name, cores = sys.argv[1:]
    hold = Path(store, "hold")

    def run(task: Task, worker: Worker) -> Outcome:
        if hold.exists():
            print("holding", file=sys.stderr, flush=True)
            while hold.exists():
                time.sleep(0.05)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return Outcome({"gpkg": values.blob(worker.store, "nothing")})

    carrying.run = run  # type: ignore[attr-defined]
    settings = Settings(scheduler, Tls(), name, int(cores))
    with Store.open(Path(store)) as opened, open_engine() as engine:
        serve(opened, engine, settings, lambda text: print(text, file=sys.stderr, flush=True))


if __name__ == "__main__":
    main()
