"""Machines of targets that are their source with packages: stage4, livecd-stage1."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cloche.catalyst.emerge import emerge_call
from cloche.catalyst.kernels import kernels
from cloche.catalyst.making import CONFIGURED, Copied, Machines, Making, keys_of


def _packages(making: Making, *options: str) -> Machines:
    """Packages over the source."""
    call = emerge_call((*options, *making.words("packages")))
    name = making.target.name
    yield (
        name,
        making.machine(
            "source",
            **keys_of(call, making.spec.origin(f"{making.target.prefix}/packages")),
            output=making.tarball,
            finish=[*finish_steps(making), *cleaned(making)],
        ),
    )


def stage4(making: Making) -> Machines:
    """@system as the source's profile now has it, the packages over it, then the kernels."""
    yield "system", making.machine("source", sets=["system"], emerge=["--update", "--oneshot"])
    ((name, machine),) = _packages(making)
    machine["seed"] = "system"
    if "boot/kernel" in making.spec.settings:
        finished = {key: machine.pop(key) for key in ("output", "finish")}
        yield "packages", machine
        last = yield from kernels(making, "packages")
        machine = making.machine(last, keep_world=True) | finished
    yield name, machine


def livecd_stage1(making: Making) -> Machines:
    """The source with the packages, all that they need updated."""
    return _packages(making, "--update", "--deep", "--newuse")


def finish_steps(making: Making) -> Iterator[dict[str, Any]]:
    """What stage4 and its like do to the root, in catalyst's order."""
    yield from making.overlays("root_overlay")
    if script := making.words("fsscript"):
        yield making.hook("fsscript", Copied(Path(script[0])))
    for key, kind in (("rcadd", "services_on"), ("rcdel", "services_off")):
        if services := making.words(key):
            yield {kind: services}
    for key, kind in (("unmerge", "unmerge"), ("rm", "remove"), ("groups", "groups")):
        if words := making.words(key):
            yield {kind: words}
    if users := making.words("users"):
        yield {"users": users}
    if directories := making.words("empty"):
        yield {"empty": directories}


def cleaned(making: Making) -> Iterator[dict[str, Any]]:
    """What `clean` leaves: no backups, and /etc/portage as a stage has it."""
    yield {"remove": ["/etc/*-", *(f"/etc/portage/{name}" for name in CONFIGURED)]}
    yield from making.configuration()
