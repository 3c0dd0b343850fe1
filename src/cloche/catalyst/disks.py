"""Machines of diskimage-stage2: the source with kernels, set up as a system on a disk."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cloche.catalyst import media_hooks as hooks
from cloche.catalyst import tools
from cloche.catalyst.kernels import LEFT, kernels
from cloche.catalyst.making import Machines, Making, profile_of
from cloche.catalyst.media import RESOLV_CONF, blacklisted, depclean, tools_of
from cloche.catalyst.packages import cleaned, finish_steps
from cloche.config.errors import ConfigError, unknown_name
from cloche.config.images import ROOT_TYPES
from cloche.config.table import size

TYPES = ("generic", "console", "ssh", "cloud-init", "cloudinit")
#: Keys of sizes, with the key of the image.
_SIZES = {"qcow2_size": "size", "qcow2_efisize": "efi_size"}


def diskimage_stage2(making: Making) -> Machines:
    """The kernels over the source, then the steps that set up the system for a disk."""
    spec = making.spec
    if "systemd" not in profile_of(spec, making.conf)[1]:
        what = "disk images require systemd, and the profile is not for systemd"
        raise ConfigError(spec.origin("profile"), what, "choose a profile with systemd in its name")
    kind = making.text("type") or TYPES[0]
    if kind not in TYPES:
        raise unknown_name(making.origin("type"), "type of disk image", kind, TYPES)
    root_type = making.text("qcow2_roottype") or ROOT_TYPES[0]
    seed = yield from blacklisted(making)
    seed = yield from kernels(making, seed)
    machine = making.machine(seed, keep_world=True)
    if making.text("qcow2"):
        making.seeds[tools.NAME] = tools_of(making, "qcow2")
        machine["output"] = {"images": {"qcow2": dict(_qcow2(making, root_type))}}
    machine["finish"] = [*_disk(making, kind), *_cleaned(making, root_type)]
    yield "diskimage-stage2", machine


def _disk(making: Making, kind: str) -> Iterator[dict[str, Any]]:
    """Steps in catalyst's order: from diskimage_update to empty."""
    variables = {"TYPE": kind, "SSHKEY": " ".join(making.words("sshkey"))}
    yield making.script("disk", hooks.DISK, variables)
    yield from finish_steps(making, cleaning=depclean(making))


def _cleaned(making: Making, root_type: str) -> Iterator[dict[str, Any]]:
    yield {"remove": [LEFT, RESOLV_CONF]}
    yield from cleaned(making)
    yield making.script("disk-last", hooks.DISK_LAST, {"ROOT_TYPE": root_type})


def _qcow2(making: Making, root_type: str) -> Iterator[tuple[str, Any]]:
    """The image of the disk. Raises `ConfigError`."""
    yield from (("format", "qcow2"), ("tools", tools.NAME))
    yield "kernel_options", "console=ttyS0 console=tty0"
    if root_type not in ROOT_TYPES:
        origin = making.origin("qcow2_roottype")
        raise unknown_name(origin, "file system", root_type, ROOT_TYPES)
    yield "root_type", root_type
    for key, name in _SIZES.items():
        if text := making.text(key):
            try:
                whole = size(text) % (1 << 20) == 0
            except ValueError:
                whole = False
            if not whole:
                what = f"“{text}” is not a size in whole MiB"
                raise ConfigError(making.origin(key), what, "write one such as 20GiB")
            yield name, text
