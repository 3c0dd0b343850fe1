"""What a host of a cluster is, and whether it may run the tasks of another one."""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

import msgspec

from cloche.version import version

_SOURCE = Path(__file__).parent.parent

# The levels of the x86-64 psABI: each has the flags of those before it, in the kernel's words.
_LEVELS = (
    {"cx16", "lahf_lm", "popcnt", "pni", "sse4_1", "sse4_2", "ssse3"},
    {"avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe", "xsave"},
    {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"},
)


class Facts(msgspec.Struct, frozen=True):
    """A host. ``code`` is the digest of cloche's own source, ``level`` that of an x86-64 CPU (else
    1), ``memory`` in MiB, ``peer`` the address that gives layers away (empty: none yet).
    """

    name: str
    version: str
    code: str
    machine: str
    level: int
    cpu: str
    kernel: str
    engine: str
    cores: int
    memory: int
    peer: str = ""
    store: str = ""


def facts_of_host(name: str, engine: str, cores: int, store: Path) -> Facts:
    """This host."""
    info = Path("/proc/cpuinfo").read_text(errors="replace")
    return Facts(
        name=name,
        version=version(),
        code=code_digest(),
        machine=platform.machine(),
        level=level_of(_field(info, "flags").split()),
        cpu=_field(info, "model name"),
        kernel=platform.release(),
        engine=engine,
        cores=cores,
        memory=os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 20,
        store=str(store),
    )


def _field(text: str, name: str) -> str:
    lines = (line.partition(":") for line in text.splitlines())
    return next((value.strip() for key, _, value in lines if key.strip() == name), "")


def level_of(flags: Iterable[str]) -> int:
    """The level of an x86-64 CPU with these flags, 1 to 4."""
    known, level = set(flags), 1
    for wanted in _LEVELS:
        if not wanted <= known:
            break
        level += 1
    return level


@lru_cache(maxsize=1)
def code_digest() -> str:
    """Digest of cloche's source: of the code inside of sandboxes, and of that around it."""
    digest = hashlib.sha256()
    for path in sorted(_SOURCE.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            content = path.read_bytes()
            digest.update(f"{path.relative_to(_SOURCE)}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def unfit(worker: Facts, plan: Facts, engine: str | None = None) -> str | None:
    """Why a worker must not run tasks of a plan's host, None if it may.

    Its kernel may be another one; ``engine`` is the one that was asked for.
    """
    if worker.version != plan.version:
        return f"cloche {worker.version} there, {plan.version} here"
    if worker.code != plan.code:
        return f"the code of cloche {plan.version} there differs from that here"
    if worker.machine != plan.machine:
        return f"its CPU is {worker.machine}, here {plan.machine}"
    if worker.level < plan.level:
        return f"its CPU has x86-64-v{worker.level}, here v{plan.level}: programs may not run there"
    if engine is not None and worker.engine != engine:
        return f"its engine is {worker.engine}, not {engine}"
    return None


def differing(worker: Facts, plan: Facts) -> str:
    """What of a worker that fits is not as on the plan's host; no result should depend on it."""
    kernel = f"the kernel {worker.kernel} (here {plan.kernel})"
    cpu = f"the CPU {worker.cpu} (here {plan.cpu})"
    found = [kernel] if worker.kernel != plan.kernel else []
    return " and ".join([*found, *([cpu] if worker.cpu != plan.cpu else [])])


def resources_of(worker: Facts) -> dict[str, float]:
    """What Dask knows of a worker: what its tasks share, and labels."""
    at_once = float(2 * worker.cores)
    labels = [
        f"code {worker.version} {worker.code[:16]}",
        f"arch {worker.machine}",
        *(f"arch {worker.machine} v{level}" for level in range(1, worker.level + 1)),
        f"engine {worker.engine}",
    ]
    shared = {"cores": float(worker.cores), "memory": float(worker.memory)}
    return {**shared, **dict.fromkeys(labels, at_once)}


def demands_of(
    plan: Facts, *, build: bool, memory: int | None = None, engine: str | None = None
) -> dict[str, float]:
    """What a task needs: labels, a core if it is a build, ``memory`` (bytes) if it is limited."""
    labels = [
        f"code {plan.version} {plan.code[:16]}",
        f"arch {plan.machine}",
        f"arch {plan.machine} v{plan.level}",
        *([f"engine {engine}"] if engine else []),
    ]
    needed = dict.fromkeys(labels, 1.0)
    if build:
        needed["cores"] = 1.0
    if memory is not None:
        needed["memory"] = float(max(1, memory >> 20))
    return needed
