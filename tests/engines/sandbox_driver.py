"""Checks of the native engine, run as one process by test_engines_native.py, as root or as a user.

Usage: sandbox_driver.py DIRECTORY ROOT [PART-OF-A-NAME]. Enters a user namespace when it must, runs
every check_* function of the modules beside it and prints one JSON object: the name of the check to
"ok" or a traceback.
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

from cloche.engines import userns
from cloche.engines.native import NativeEngine


def main() -> None:
    directory, root = Path(sys.argv[1]), Path(sys.argv[2])
    part = sys.argv[3] if len(sys.argv) > 3 else ""
    results: dict[str, str] = {}
    userns.enter()
    with NativeEngine() as engine:
        ground = Ground(engine, directory, root)
        modules = (sandbox_isolation, sandbox_running, sandbox_escapes)
        for name, check in [item for module in modules for item in vars(module).items()]:
            if name.startswith("check_") and part in name:
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
