"""Which workers may run the tasks of a plan, and what Dask is told of that."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from cloche.cluster.facts import (
    Facts,
    code_digest,
    demands_of,
    differing,
    facts_of_host,
    level_of,
    resources_of,
    unfit,
)

PLAN = Facts("here", "1.0", "c0de" * 16, "x86_64", 3, "a CPU", "6.1", "native", 8, 16000)
V2 = "cx16 lahf_lm popcnt pni sse4_1 sse4_2 ssse3"
V3 = "avx avx2 bmi1 bmi2 f16c fma abm movbe xsave"
WORKER = msgspec.structs.replace(PLAN, name="there", cores=2, memory=4000)


def changed(**fields: object) -> Facts:
    return msgspec.structs.replace(WORKER, **fields)


@pytest.mark.parametrize(
    "worker",
    [
        WORKER,
        changed(kernel="5.15.0-other", cpu="another CPU"),
        changed(level=4),
        changed(engine="bwrap"),
    ],
    ids=["equal", "kernel", "newer CPU", "engine"],
)
def test_a_worker_that_gives_the_same_results_fits(worker: Facts) -> None:
    assert unfit(worker, PLAN) is None
    assert covers(worker, demands_of(PLAN, build=True))


@pytest.mark.parametrize(
    ("worker", "why"),
    [
        (changed(version="1.1"), "cloche 1.1 there, 1.0 here"),
        (changed(code="f00d" * 16), "the code of cloche 1.0 there differs from that here"),
        (changed(machine="aarch64", level=1), "its CPU is aarch64, here x86_64"),
        (
            changed(level=2),
            "its CPU has x86-64-v2, here v3: programs may not run there",
        ),
    ],
    ids=["version", "code", "machine", "level"],
)
def test_a_worker_that_might_give_others_is_refused_with_the_reason(
    worker: Facts, why: str
) -> None:
    assert unfit(worker, PLAN) == why
    assert not covers(worker, demands_of(PLAN, build=True))


def test_another_kernel_and_another_cpu_are_told() -> None:
    assert differing(WORKER, PLAN) == ""
    assert differing(changed(kernel="5.15"), PLAN) == "the kernel 5.15 (here 6.1)"
    both = "the kernel 5.15 (here 6.1) and the CPU x (here a CPU)"
    assert differing(changed(kernel="5.15", cpu="x"), PLAN) == both


def test_an_engine_that_was_asked_for_is_needed() -> None:
    assert unfit(WORKER, PLAN, "podman") == "its engine is native, not podman"
    assert not covers(WORKER, demands_of(PLAN, build=True, engine="podman"))
    assert unfit(changed(engine="podman"), PLAN, "podman") is None
    assert covers(changed(engine="podman"), demands_of(PLAN, build=False, engine="podman"))


def covers(worker: Facts, demands: dict[str, float]) -> bool:
    """Whether Dask would give the task to the worker."""
    offered = resources_of(worker)
    return all(offered.get(name, 0.0) >= amount for name, amount in demands.items())


def test_a_build_takes_a_core_and_a_limited_one_its_memory() -> None:
    assert demands_of(PLAN, build=True)["cores"] == 1.0
    assert "cores" not in demands_of(PLAN, build=False)
    assert demands_of(PLAN, build=True, memory=2 << 30)["memory"] == 2048
    assert not covers(WORKER, demands_of(PLAN, build=True, memory=5 << 30))


@pytest.mark.parametrize(
    ("flags", "level"),
    [
        ("fpu sse2", 1),
        (V2, 2),
        (f"{V2} {V3}", 3),
        (V3, 1),
    ],
)
def test_the_level_of_a_cpu_is_that_of_the_psabi(flags: str, level: int) -> None:
    assert level_of(flags.split()) == level


def test_a_host_knows_itself(tmp_path: Path) -> None:
    facts = facts_of_host("me", "native", 3, tmp_path)
    assert facts.kernel == os.uname().release
    assert facts.machine == os.uname().machine
    assert facts.memory > 256
    assert facts.code == code_digest()
    assert unfit(facts, msgspec.structs.replace(facts, name="other")) is None
