"""What goes wrong in a cluster: the plan goes on, or ends with one line."""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.cluster.running import Site, free_port, processes, slow_machine, wait_for
from tests.faults.looking import PROJECT
from tests.support import Store, project

pytestmark = pytest.mark.real

CHILD, MAIN = "cluster-slow-child", "cluster-slow-main"
Fresh = Callable[[Store], Store]


@pytest.fixture
def place(root_seeded: Store) -> Iterator[Path]:
    made = project(root_seeded, PROJECT)
    yield made
    shutil.rmtree(made.parent)


def logs(store: Store, package: str) -> list[str]:
    """The logs of builds of a package that succeeded or failed in a store."""
    return sorted(path.name for path in (store.path / "logs").glob(f"*/{package}-1/*-build.log*"))


def test_a_worker_that_is_killed_leaves_nothing_and_another_one_goes_on(
    root_seeded: Store, fresh: Fresh, cluster: Site, place: Path
) -> None:
    home, one, two = (fresh(root_seeded) for _ in range(3))
    port = free_port()
    address = f"tcp://127.0.0.1:{port}"
    machine = slow_machine(place, 3, "slow")
    cluster.scheduler(port)
    first = cluster.worker(one, address, "one")
    build = cluster.build(home, place, machine, "--cluster", address)
    build.begun("compile")
    wait_for(lambda: processes(CHILD) and processes(MAIN))
    cluster.worker(two, address, "two")
    first.kill()
    wait_for(lambda: not processes(CHILD) and not processes(MAIN))
    build.ends()
    assert build.built == ["late/slow-1::faults"]
    assert len(logs(two, "slow")) == 1
    one.cloche("store", "verify", check=True)
    undisturbed = cluster.build(fresh(root_seeded), place, machine, "-o", cluster.room / "out")
    undisturbed.ends()
    assert build.layers == undisturbed.layers


def test_a_task_outlives_its_scheduler_and_the_plan_goes_on_with_the_next_one(
    root_seeded: Store, fresh: Fresh, cluster: Site, place: Path
) -> None:
    home, one, two = (fresh(root_seeded) for _ in range(3))
    port = free_port()
    address = f"tcp://127.0.0.1:{port}"
    machine = slow_machine(place, 4, "slow")
    slow_machine(place, 0, "after", depend="late/slow")
    text = (place / "machines/slow.toml").read_text()
    (place / "machines/slow.toml").write_text(
        text.replace('"late/slow"', '"late/slow", "late/after"')
    )
    scheduler = cluster.scheduler(port)
    for store, name in ((one, "one"), (two, "two")):
        cluster.worker(store, address, name)
    build = cluster.build(home, place, machine, "--cluster", address)
    build.begun("compile", "slow")
    wait_for(lambda: processes(MAIN))
    scheduler.kill()
    scheduler.process.wait()
    cluster.scheduler(port)
    build.ends()
    assert sorted(build.built) == ["late/after-1::faults", "late/slow-1::faults"]
    assert len(logs(one, "slow")) + len(logs(two, "slow")) == 1  # not built twice


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_build_that_is_interrupted_stops_its_task_on_the_worker(
    number: int, root_seeded: Store, fresh: Fresh, cluster: Site, place: Path
) -> None:
    home, one = fresh(root_seeded), fresh(root_seeded)
    port = free_port()
    address = f"tcp://127.0.0.1:{port}"
    machine = slow_machine(place, 60, "slow")
    cluster.scheduler(port)
    worker = cluster.worker(one, address, "one")
    build = cluster.build(home, place, machine, "--cluster", address)
    build.begun("compile")
    wait_for(lambda: processes(MAIN))
    build.process.kill(number)
    wait_for(lambda: not processes(CHILD) and not processes(MAIN), 40)  # its own end is 60 s away
    build.ends(130)
    assert worker.process.poll() is None


def test_a_worker_that_is_told_to_end_hands_its_task_over(
    root_seeded: Store, fresh: Fresh, cluster: Site, place: Path
) -> None:
    home, one, two = (fresh(root_seeded) for _ in range(3))
    port = free_port()
    address = f"tcp://127.0.0.1:{port}"
    machine = slow_machine(place, 3, "slow")
    cluster.scheduler(port)
    first = cluster.worker(one, address, "one")
    build = cluster.build(home, place, machine, "--cluster", address)
    build.begun("compile")
    cluster.worker(two, address, "two")
    first.kill(signal.SIGTERM)
    assert first.process.wait(60) == 0, first.text
    assert not list((one.path / "tmp").iterdir())
    build.ends()
    assert build.built == ["late/slow-1::faults"]


def test_a_worker_whose_disk_is_full_is_left_out(
    root_seeded: Store, fresh: Fresh, cluster: Site, place: Path
) -> None:
    home, good = fresh(root_seeded), fresh(root_seeded)
    small = cluster.room / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=150m,mode=755", "none", small], check=True)
    try:
        port = free_port()
        address = f"tcp://127.0.0.1:{port}"
        cluster.scheduler(port)
        full = Store(small / "store", root_seeded.user)
        worker = cluster.worker(full, address, "full")
        build = cluster.build(home, place, "fine", "--cluster", address)
        wait_for(lambda: "sent again" in build.notes or build.process.process.poll() is not None)
        assert "full: No space left on device" in build.notes
        cluster.worker(good, address, "good")
        build.ends(3)  # there was no other one then
        assert "No space left on device" in build.process.text
        again = cluster.build(home, place, "fine", "--cluster", address)
        again.ends()
        assert again.built
        full.cloche("store", "verify", check=True)
        worker.end()
    finally:
        for each in cluster.started:
            each.end()
        subprocess.run(["umount", small], check=True)


def test_two_workers_share_one_store(
    root_seeded: Store, fresh: Fresh, cluster: Site, place: Path
) -> None:
    home, one = fresh(root_seeded), fresh(root_seeded)
    port = free_port()
    address = f"tcp://127.0.0.1:{port}"
    cluster.scheduler(port)
    for name in ("one", "two"):
        cluster.worker(one, address, name)
    build = cluster.build(home, place, "chain", "--cluster", address, "-j", "4")
    build.ends()
    assert len(build.built) == 6
    for name in ("one", "two", "three", "four", "five", "six"):
        assert len(logs(one, name)) == 1
    one.cloche("store", "verify", check=True)


def test_a_worker_with_other_code_is_refused_with_the_reason(
    root_seeded: Store, fresh: Fresh, cluster: Site, place: Path
) -> None:
    home, one, two = (fresh(root_seeded) for _ in range(3))
    port = free_port()
    address = f"tcp://127.0.0.1:{port}"
    cluster.scheduler(port)
    other = cluster.room / "other"
    shutil.copytree(root_seeded.user.source / "cloche", other / "cloche")
    with (other / "cloche/guest/build.py").open("a") as text:
        text.write("# another one\n")
    changed = Store(one.path, replace(root_seeded.user, source=other))
    cluster.worker(changed, address, "strange")
    alone = cluster.build(home, place, "fine", "--cluster", address)
    alone.ends(3)
    said = alone.process.text.splitlines()[-1]
    assert "the cluster has no worker for this plan (strange: the code of cloche" in said
    assert "there differs from that here" in said

    cluster.worker(two, address, "good")
    build = cluster.build(home, place, "fine", "--cluster", address)
    build.ends()
    assert "the worker strange is refused: the code of cloche" in build.notes
    assert build.built
    assert not list((one.path / "logs").glob("*/*"))


LOOSE = """EAPI=8
DESCRIPTION="is never the same"
HOMEPAGE="https://example.org/faults"
S="${WORKDIR}"
LICENSE="public-domain"
SLOT="0"
KEYWORDS="amd64"
src_install() {
    insinto /usr/share/loose
    echo "$(</proc/sys/kernel/random/uuid)" > random || die
    doins random
}
"""


def test_a_verified_share_names_the_workers_that_differ(
    root_seeded: Store, fresh: Fresh, cluster: Site, place: Path
) -> None:
    home, one, two = (fresh(root_seeded) for _ in range(3))
    port = free_port()
    address = f"tcp://127.0.0.1:{port}"
    cluster.scheduler(port)
    cluster.worker(one, address, "one")
    words = ("--cluster", address, "--verify-share", "100%")
    alone = cluster.build(home, place, "fine", *words)
    alone.ends(3)
    assert "verifying a share needs two workers" in alone.process.text

    cluster.worker(two, address, "two")
    fine = cluster.build(home, place, "fine", *words)
    fine.ends()
    assert fine.built
    for package in fine.built:
        cpv = package.partition("::")[0]
        assert f"{cpv}: one and two built the same layer" in fine.notes

    slow_machine(place, 0, "loose")
    (place / "repo/late/loose/loose-1.ebuild").write_text(LOOSE)
    loose = cluster.build(home, place, "slow", *words)
    loose.ends(1)
    said = loose.process.text
    assert "late/loose-1::faults: one and two built different layers, " in said
    assert "! usr/share/loose/random: content" in said
