"""Checks of every backend of roots, run as one process by test_roots_opening.py.

Usage: root_driver.py NAME=DIRECTORY… with a directory on each file system to try. Enters a user
namespace when it must, runs every check_* function of root_checks.py and prints one JSON object:
the name of the check to "ok" or a traceback.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import root_checks
from checking import run_checks

from cloche.roots import own_mounts
from cloche.sandbox import userns


def main() -> None:
    ground = {}
    for argument in sys.argv[1:]:
        name, _, directory = argument.partition("=")
        ground[name] = Path(directory)
    part = os.environ.get("CLOCHE_ONLY", "")
    root_checks.ORDINARY = userns.enter()
    own_mounts()
    print(json.dumps(run_checks(ground, root_checks, wanted=lambda name: part in name)))


if __name__ == "__main__":
    main()
