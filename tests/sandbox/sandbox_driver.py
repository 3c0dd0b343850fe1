"""Checks of an engine, run by test_sandbox_native.py and test_engines_foreign.py as one process.

Usage: sandbox_driver.py ENGINE DIRECTORY ROOT [CHECK...]. Enters a user namespace
when it must, runs every check_* function of the modules beside it and prints one JSON object: the
name of the check to "ok" or a traceback.
"""

from __future__ import annotations

import json
import sys
import time
import traceback
from pathlib import Path

import sandbox_escapes
import sandbox_isolation
import sandbox_running
from sandbox_ground import Ground

from cloche.engines.choice import make_engine
from cloche.sandbox import userns


def main() -> None:
    name, directory, root = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    wanted = sys.argv[4:]
    results: dict[str, str] = {}
    userns.enter()
    with make_engine(name) as engine:
        ground = Ground(name, engine, directory, root)
        modules = (sandbox_isolation, sandbox_running, sandbox_escapes)
        for named, check in [item for module in modules for item in vars(module).items()]:
            if named.startswith("check_") and (not wanted or named in wanted):
                begun = time.monotonic()
                try:
                    check(ground)
                    results[named] = "ok"
                except BaseException:
                    results[named] = traceback.format_exc()
                print(named, f"{time.monotonic() - begun:.2f}", file=sys.stderr)
    print(json.dumps(results))


if __name__ == "__main__":
    main()
