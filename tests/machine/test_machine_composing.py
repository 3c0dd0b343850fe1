"""Composed layers are what Portage makes of the same packages; where it refuses, so does cloche."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support import ROOT, Root, Store

from cloche.store import Store as Stored

pytestmark = pytest.mark.real

EXAMPLES = int(os.environ.get("CLOCHE_TESTS_EXAMPLES", "40"))  # two or three a second


def test_packages_of_files_links_and_directories(
    root_seeded: Store, root_of: Root, tmp_path: Path
) -> None:
    with Stored.open(root_seeded.path) as store:
        seed = next(tree.path for tree in store.trees() if tree.label == "debian")
    number = random.randrange(1 << 32)
    driver = Path(__file__).with_name("composing_driver.py")
    done = subprocess.run(
        [sys.executable, driver, seed, tmp_path, str(EXAMPLES), str(number), root_of],
        env={**os.environ, "PYTHONPATH": f"{ROOT}/src:{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"random seed {number}\n{done.stdout}\n{done.stderr[-8000:]}"
    assert sum(json.loads(done.stdout).values()) >= EXAMPLES
