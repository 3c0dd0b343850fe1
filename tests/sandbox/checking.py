"""Runs the checks of a driver, functions named check_…, one after the other."""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Callable
from types import ModuleType
from typing import Any


def run_checks(
    ground: Any, *modules: ModuleType, wanted: Callable[[str], bool] = lambda name: True
) -> dict[str, str]:
    """Call each check that is wanted; by name "ok" or the traceback. Times go to standard error."""
    results = {}
    for name, check in [item for module in modules for item in vars(module).items()]:
        if not name.startswith("check_") or not wanted(name):
            continue
        begun = time.monotonic()
        try:
            check(ground)
            results[name] = "ok"
        except BaseException:
            results[name] = traceback.format_exc()
        print(name, f"{time.monotonic() - begun:.2f}", file=sys.stderr)
    return results
