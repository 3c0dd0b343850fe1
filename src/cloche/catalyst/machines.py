"""A spec as machines of cloche: the files of a project that make the same stage."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from cloche.catalyst.conf import Conf
from cloche.catalyst.disks import diskimage_stage2
from cloche.catalyst.embedded import embedded
from cloche.catalyst.making import Content, Inputs, Machines, Making, Project
from cloche.catalyst.media import livecd_stage2
from cloche.catalyst.netboot import netboot
from cloche.catalyst.packages import stage4, updated
from cloche.catalyst.spec import Spec
from cloche.catalyst.stages import stage1, stage2, stage3
from cloche.config.errors import ConfigError
from cloche.config.toml import dumps

#: The function that yields the machines of each target; the last one is the target.
_MACHINES: Mapping[str, Callable[[Making], Machines]] = {
    "stage1": stage1,
    "stage2": stage2,
    "stage3": stage3,
    "stage4": stage4,
    "livecd-stage1": updated,
    "livecd-stage2": livecd_stage2,
    "diskimage-stage1": updated,
    "diskimage-stage2": diskimage_stage2,
    "embedded": embedded,
    "netboot": netboot,
}


def check_target(spec: Spec) -> None:
    """See that cloche can build the target of a spec. Raises `ConfigError`."""
    target = spec.text("target")
    if target not in _MACHINES:
        what = f"“{target}” cannot be built yet"
        raise ConfigError(spec.origin("target"), what, f"use one of {', '.join(_MACHINES)}")


def project_of(spec: Spec, conf: Conf, inputs: Inputs) -> Project:
    """The project for a spec. Raises `ConfigError`, also for a target that is not supported yet."""
    check_target(spec)
    making = Making(spec, conf, inputs)
    machines = dict(_MACHINES[spec.text("target")](making))
    files: dict[str, Content] = {"cloche.toml": dumps(making.declared(tuple(machines)))}
    for name, machine in machines.items():
        files[f"machines/{name}.toml"] = dumps(machine)
    return Project(files | making.files, tuple(machines))
