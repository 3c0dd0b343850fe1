"""Checks of virtual machines, run as one process by test_vm_real.py, as root or as a user.

Usage: vm_driver.py DIRECTORY ROOT NAME-OF-A-CHECK... As sandbox_driver.py, with vm_checks.py;
tests/sandbox is on its path.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import vm_checks
from checking import run_checks
from sandbox_ground import Ground

from cloche.engines.choice import make_engine
from cloche.sandbox import userns


def main() -> None:
    directory, root = Path(sys.argv[1]), Path(sys.argv[2])
    userns.enter()
    with make_engine("qemu") as engine:
        ground = Ground("qemu", engine, directory, root)
        print(json.dumps(run_checks(ground, vm_checks, wanted=sys.argv[3:].__contains__)))


if __name__ == "__main__":
    main()
