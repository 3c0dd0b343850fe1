"""Checks of an engine, run by test_sandbox_native.py and test_engines_foreign.py as one process.

Usage: sandbox_driver.py ENGINE DIRECTORY ROOT [CHECK...]. Enters a user namespace
when it must, runs every check_* function of the modules beside it and prints one JSON object: the
name of the check to "ok" or a traceback.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import sandbox_emulation
import sandbox_escapes
import sandbox_isolation
import sandbox_running
from checking import run_checks
from sandbox_ground import Ground

from cloche.engines.choice import make_engine
from cloche.sandbox import userns


def main() -> None:
    name, directory, root = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    wanted = sys.argv[4:]
    userns.enter()
    with make_engine(name) as engine:
        results = run_checks(
            Ground(name, engine, directory, root),
            *(sandbox_isolation, sandbox_running, sandbox_escapes, sandbox_emulation),
            wanted=lambda check: not wanted or check in wanted,
        )
    print(json.dumps(results))


if __name__ == "__main__":
    main()
