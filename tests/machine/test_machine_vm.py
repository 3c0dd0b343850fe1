"""What a virtual machine builds is what native builds: two tiny packages, of one a user is made.

Without KVM each step takes some twenty times as long, so there are no more of them.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny
from tests.support import Store, project

pytestmark = [pytest.mark.real, pytest.mark.proof(name="engines")]

MACHINE = """
seed = "debian"
profile = "tiny:default"
portage = ["base"]
packages = ["tiny/leaf", "tiny/first"]
"""


def test_in_virtual_machines_layers_are_the_same(
    root_seeded: Store, fresh, virtual_kernel: Path
) -> None:
    native, virtual = fresh(root_seeded), fresh(root_seeded)
    place = project(native, tiny.PROJECT)
    (place / "machines/two.toml").write_text(MACHINE)
    here = tiny.build(native, place, machine="two")
    virtual.cloche("plan", "two", cwd=place, check=True)  # resolved as it was before
    there = tiny.build(
        virtual, place, "--engine", "qemu",
        machine="two", env={"CLOCHE_KERNEL": str(virtual_kernel)},
    )  # fmt: skip
    assert there.packages("built") == {"tiny/leaf-1", "tiny/first-1"}
    assert there.layers == here.layers
    assert there.delivered == here.delivered
