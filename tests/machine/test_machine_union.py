"""A machine whose roots are composed over unions is the machine that is composed layer by layer.

A root of more than 150 layers would take minutes to make; so the border is set to none at all.
"""

from __future__ import annotations

import json
import subprocess

import pytest
import tiny
from tests.support import Store, project

pytestmark = pytest.mark.real

NO_BORDER = """
from cloche.roots import unions
unions.lowers.__kwdefaults__.update(border=0, tail=0)
from cloche.cli.main import main
main()
"""


def test_a_machine_over_unions(root_seeded: Store, fresh) -> None:
    plain = tiny.built_once(root_seeded)
    store = fresh(root_seeded)
    place = project(store, tiny.PROJECT)
    words = ("--store", store.path, "-C", place, "build", "tiny", "--progress", "json")
    done = subprocess.run(
        [store.user.python, "-B", "-c", NO_BORDER, *map(str, words)],
        env=store.user.environment(None),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    events = tuple(map(json.loads, done.stdout.splitlines()))
    made = tiny.Build(store, place, events, tiny.delivered(place / "out/tiny"))
    assert made.packages("built") == tiny.PACKAGES
    assert made.layers == plain.layers
    assert made.delivered == plain.delivered
    assert len(list((store.path / "unions").iterdir())) > 1
