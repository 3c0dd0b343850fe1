"""Images that a machine made boot under emulation: OpenRC, busybox on a sealed root, a medium."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import systems
from tests import booting, containers
from tests.support import Store

pytestmark = pytest.mark.real

PATIENCE = 1800


@dataclass(frozen=True)
class Made:
    """A project whose machines have images, and its store."""

    store: Store
    place: Path

    def test(self, *words: str) -> list[tuple[str, str]]:
        """Boot and run the checks; what was checked, and how it went."""
        done = self.store.cloche("boot", "--test", "--json", *words, cwd=self.place,
                                 timeout=PATIENCE)  # fmt: skip
        assert done.stdout, done.stderr
        checks = json.loads(done.stdout)["checks"]
        return [(each["name"], each["state"]) for each in checks]


@pytest.fixture(scope="module")
def made(root_tools: Store, virtual_kernel: Path, ground: Path) -> Iterator[Made]:
    parent = ground / "boots"
    parent.mkdir()
    store = root_tools.copy(parent / "store")
    place = systems.prepare(store, virtual_kernel)
    store.cloche("build", "initrd", cwd=place, check=True, timeout=PATIENCE)
    file = place / "files/initrd/boot/initrd.cpio"
    file.parent.mkdir(parents=True)
    shutil.copyfile(place / "out/initrd/start.cpio.zst", file)
    store.user.own(place / "files")
    store.cloche("build", *systems.MACHINES, cwd=place, check=True, timeout=PATIENCE)
    yield Made(store, place)
    shutil.rmtree(parent)


@pytest.mark.parametrize("machine", systems.MACHINES)
def test_a_disk_boots_from_uefi_to_its_init(made: Made, machine: str) -> None:
    """A UKI starts OpenRC of an ext4, or busybox of an EROFS under dm-verity.

    The initramfs of the former is a machine, too.
    """
    checks = made.test(machine)
    assert len(checks) > 4
    assert {state for _, state in checks} == {"passed"}, checks


def test_a_medium_boots_to_busybox(made: Made) -> None:
    image = made.place / "out/sealed/live.iso"
    said = booting.boot(image, uefi=False, cdrom=True, until="built-in shell", seconds=PATIENCE)
    assert "built-in shell (ash)" in said


def test_a_container_of_the_same_root_runs(made: Made) -> None:
    archive = made.place / "out/sealed/container.oci.tar"
    with containers.loaded(archive, "sealed:latest") as podman:
        assert podman(*containers.RUN, "sealed:latest", "echo", "hello") == "hello\n"
